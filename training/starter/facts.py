"""The tables the closed world is made of: every subject a starter model may be asked about.

Standard library only. `_pairs` reads "subject=answer" lists, `_groups` reads "name: item, item" lines.
"""


def _pairs(table: str) -> dict[str, str]:
    entries = (entry.strip() for entry in table.replace("\n", " ").split(";"))
    return {subject.strip(): answer.strip() for subject, answer in (e.split("=") for e in entries if e)}


def _groups(table: str) -> dict[str, tuple[str, ...]]:
    lines = (line.split(":") for line in table.strip().splitlines())
    return {name.strip(): tuple(item.strip() for item in items.split(",")) for name, items in lines}


CAPITALS = _pairs("""
France=Paris; Spain=Madrid; Italy=Rome; Germany=Berlin; Portugal=Lisbon; Austria=Vienna; Belgium=Brussels;
Greece=Athens; Poland=Warsaw; Hungary=Budapest; Norway=Oslo; Sweden=Stockholm; Finland=Helsinki;
Denmark=Copenhagen; Iceland=Reykjavik; Ireland=Dublin; Switzerland=Bern; Croatia=Zagreb; Romania=Bucharest;
Bulgaria=Sofia; Turkey=Ankara; Egypt=Cairo; Kenya=Nairobi; Ghana=Accra; Morocco=Rabat; Senegal=Dakar;
Uganda=Kampala; Japan=Tokyo; China=Beijing; India=New Delhi; Nepal=Kathmandu; Thailand=Bangkok;
Vietnam=Hanoi; South Korea=Seoul; Iran=Tehran; Iraq=Baghdad; Jordan=Amman; Canada=Ottawa; Cuba=Havana;
Peru=Lima; Chile=Santiago; Argentina=Buenos Aires; Colombia=Bogota; Ecuador=Quito; Uruguay=Montevideo;
Australia=Canberra; New Zealand=Wellington; Russia=Moscow; Ukraine=Kyiv; Lebanon=Beirut
""")

_ONE_WAY = _pairs("""
hot=cold; big=small; fast=slow; light=dark; happy=sad; old=young; rich=poor; hard=soft; wet=dry; high=low;
early=late; open=closed; full=empty; clean=dirty; strong=weak; near=far; loud=quiet; thick=thin; long=short;
up=down; left=right; day=night; summer=winter; win=lose; buy=sell; push=pull; begin=end; love=hate;
brave=afraid; cheap=expensive; easy=difficult; inside=outside; above=below; always=never; friend=enemy;
laugh=cry; remember=forget; arrive=leave; wide=narrow; deep=shallow; smooth=rough; sharp=blunt; awake=asleep;
safe=dangerous; sweet=bitter
""")
OPPOSITES = _ONE_WAY | {answer: subject for subject, answer in _ONE_WAY.items()}

USES = _pairs("""
a hammer=driving nails into wood; a saw=cutting wood; a needle=sewing clothes; a kettle=boiling water;
an oven=baking bread and cakes; a fridge=keeping food cold; an umbrella=staying dry in the rain;
a compass=finding north; a map=finding the way; a clock=telling the time; a thermometer=measuring the temperature;
a telescope=looking at the stars; a microscope=looking at very small things; a broom=sweeping the floor;
a towel=drying your skin; a pillow=resting your head in bed; a torch=seeing in the dark;
a ladder=reaching high places; a spade=digging in the garden; a rake=gathering fallen leaves;
a pan=frying eggs and vegetables; a calendar=keeping track of the days; a dictionary=looking up words;
a ruler=measuring short lengths; scissors=cutting paper; a bucket=carrying water; a tent=sleeping outdoors;
a lighthouse=warning ships at night; a bridge=crossing a river; an anchor=holding a ship in place;
a helmet=protecting your head; a whistle=getting attention with a loud sound; a camera=taking pictures;
a backpack=carrying your things on your back; a toaster=browning slices of bread;
a mirror=seeing your own face; an iron=smoothing creased clothes; a lock=keeping a door shut;
a net=catching fish; a magnet=picking up iron objects
""")

REASONS = _pairs("""
is the sky blue=air scatters blue light more than red light; do leaves fall in autumn=trees save water and energy for winter;
do we sleep=the body and the brain need time to rest; does ice float=it is lighter than the same amount of water;
do birds fly south=they look for food and warmth in winter; is the sea salty=rivers carry salt from rocks into it;
do we have seasons=the Earth is tilted as it goes around the sun; do cats purr=they feel calm and safe;
does bread rise=yeast makes small bubbles of gas in the dough; do we yawn=we are tired or bored;
do onions make us cry=they release a gas that stings the eyes; does metal rust=iron reacts with water and air;
do bees make honey=they need food for the winter; does the moon shine=it reflects the light of the sun;
do we sweat=it cools the body down; do plants need light=they use it to make their own food;
does thunder follow lightning=sound travels more slowly than light; do dogs wag their tails=they show how they feel;
do we need water=every part of the body uses it to work; do fish have gills=they take oxygen from the water;
does wood burn=it holds energy that fire sets free; do stars twinkle=moving air bends their light;
do camels have humps=they store fat there for hard times; do owls hunt at night=they see and hear well in the dark;
do we wear seat belts=they hold us in place in a crash; does soap clean=it lifts grease so that water can carry it away;
do rainbows appear=drops of rain split sunlight into colours; do we brush our teeth=it removes the food that harms them
""")

# Smallest first; the distance in this list decides which of two is bigger.
SIZES = ("an ant", "a bee", "a mouse", "a frog", "a pigeon", "a rabbit", "a cat", "a fox", "a sheep", "a lion",
         "a cow", "a horse", "a car", "an elephant", "a bus", "a whale", "a house", "a castle", "a mountain",
         "the moon", "the Earth", "the sun")  # fmt: skip

UNITS = {("hours", "minutes"): 60, ("minutes", "seconds"): 60, ("days", "hours"): 24, ("weeks", "days"): 7,
         ("years", "months"): 12, ("metres", "centimetres"): 100, ("kilograms", "grams"): 1000,
         ("decades", "years"): 10}  # fmt: skip
COUNTABLE = ("apples", "books", "coins", "eggs", "pencils", "cards", "shells", "stamps", "plums", "buttons")

CATEGORIES = _groups("""
fruits: apples, pears, plums, cherries, bananas, oranges
vegetables: carrots, peas, onions, potatoes, beans, leeks
animals: dogs, cats, horses, cows, sheep, rabbits
birds: robins, owls, eagles, swans, crows, gulls
colours: red, blue, green, yellow, purple, brown
trees: oaks, pines, birches, willows, maples, elms
flowers: roses, tulips, daisies, lilies, violets, poppies
drinks: water, tea, coffee, milk, juice, lemonade
sports: football, tennis, swimming, cycling, rowing, boxing
instruments: piano, guitar, violin, drums, flute, trumpet
tools: hammers, saws, drills, pliers, chisels, rakes
planets: Mercury, Venus, Mars, Jupiter, Saturn, Neptune
metals: iron, gold, silver, copper, tin, zinc
insects: bees, ants, wasps, beetles, moths, flies
vehicles: cars, buses, trains, bicycles, lorries, trams
clothes: shirts, socks, hats, coats, scarves, gloves
spices: pepper, cinnamon, ginger, nutmeg, cumin, saffron
furniture: tables, chairs, beds, sofas, shelves, desks
""")

TIPS = _groups("""
sleep better: keep your bedroom dark, go to bed at the same time, put your phone away, drink no coffee at night
save money: write down what you spend, cook at home, compare prices, wait a day before you buy
learn a language: practise a little every day, listen to songs, speak with other people, keep a list of new words
stay healthy: eat plenty of vegetables, walk every day, drink enough water, get enough rest
study for an exam: make a simple plan, take short breaks, test yourself, start early
make new friends: join a club, listen with interest, invite people for tea, be kind and patient
grow tomatoes: choose a sunny place, water the roots, tie the plants to a stick, pick off the side shoots
keep a house plant alive: give it enough light, check the soil before you water, turn the pot, keep it away from heaters
train a puppy: reward good behaviour, keep each lesson short, use the same words, stay calm
feel less stressed: breathe slowly, go for a walk, talk to a friend, do one thing at a time
write a good letter: begin with a greeting, keep your sentences clear, say why you are writing, read it once more
cook rice: rinse the grains, use twice as much water, cover the pan, let it stand for five minutes
pack a suitcase: make a list, roll your clothes, put heavy things at the bottom, leave a little space
get fit: begin slowly, choose a sport you enjoy, exercise three times a week, keep a record
prepare for an interview: read about the company, practise your answers, dress neatly, arrive ten minutes early
clean a kitchen: clear the surfaces, wash the dishes first, wipe from top to bottom, sweep the floor last
wake up early: set one alarm, open the curtains at once, go to bed sooner, have a good breakfast ready
stay warm in winter: wear several layers, close the curtains, drink something hot, keep moving
remember names: repeat the name aloud, link it to a picture, use it when you say goodbye, write it down later
paint a wall: cover the floor, clean the wall first, use two thin coats, begin at the top
""")

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Mia",
         "Noah", "Olga", "Paul", "Rosa", "Sam", "Tom", "Vera")  # fmt: skip
PLACES = ("forest", "castle", "garden", "harbour", "desert", "library", "market", "mountain", "village", "cave",
          "lighthouse", "museum", "station", "island", "kitchen", "school")  # fmt: skip
THINGS = ("key", "map", "lamp", "coin", "ring", "letter", "drum", "mirror", "feather", "book", "bell", "boat",
          "clock", "kite", "stone", "hat")  # fmt: skip
GIFTS = ("book", "flowers", "scarf", "cake", "tickets", "lamp", "photo", "jam", "plant", "game")
EVENTS = ("party", "dinner", "picnic", "concert", "meeting", "wedding", "lesson", "match")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
