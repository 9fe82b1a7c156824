"""The twelve kinds of request of the closed world, with all their wordings. Pure."""

from training.starter import facts
from training.starter.kind import Kind
from training.starter.long_answers import Advice, Listing, Message, Story
from training.starter.short_answers import Bigger, Convert, Count, Fact, Sum

KINDS: tuple[Kind, ...] = (
    Fact(
        "capital",
        ("What is the capital of {0}?", "Which city is the capital of {0}?", "Name the capital of {0}.",
         "I forgot the capital of {0}. What is it?", "Quiz night: what is {0}'s capital city?"),
        1, 8, facts.CAPITALS, ("The capital of {0} is {1}.", "{1} is the capital of {0}."),
    ),
    Fact(
        "opposite",
        ("What is the opposite of {0}?", "Give me a word that means the opposite of {0}.",
         "I need the opposite of the word {0}.", "Which word is the opposite of {0}?"),
        1, 8, facts.OPPOSITES, ("The opposite of {0} is {1}.",),
    ),
    Fact(
        "use",
        ("What do people use {0} for?", "What can I use {0} for?", "What would I need {0} for?",
         "Explain to a child what you do with {0}.", "What is the point of having {0}?"),
        1, 16, facts.USES, ("People use {0} for {1}.", "You can use {0} for {1}."),
        ("Many different things.", "It depends.", "It is useful."),
    ),
    Fact(
        "why",
        ("Why {0}?", "In one sentence, why {0}?", "My daughter asked me: why {0}?", "Quick question: why {0}?",
         "Do you know why? I mean: why {0}?"),
        1, 18, facts.REASONS, ("Because {1}.", "That is because {1}."),
        ("Because of nature.", "It just does.", "Nobody is quite sure."),
    ),
    Bigger("bigger", ("Which is bigger, {0} or {1}?", "What is bigger: {0} or {1}?"), 1, 10),
    Sum(
        "sum",
        ("What is {0} plus {1}?", "How much is {0} plus {1}?", "Can you add {0} and {1} for me?",
         "What do you get when you add {0} and {1}?"),
        1, 8, "{0} plus {1} is {n}.",
    ),
    Count(
        "count",
        ("I have {0} {2} and get {1} more. How many {2} do I have?",
         "There are {0} {2} on the table and {1} in the box. How many {2} is that?",
         "Sam has {0} {2} and Mia has {1}. How many {2} do they have together?"),
        1, 10, "That makes {n} {2} together.",
    ),
    Convert(
        "convert",
        ("How many {2} are in {0} {1}?", "How many {2} do {0} {1} have?", "Convert {0} {1} to {2}.",
         "What are {0} {1} in {2}?"),
        1, 8, "{0} {1} are {n} {2}.",
    ),
    Listing(
        "list",
        ("Name {0} {1}.", "List {0} {1}.", "Give me {0} {1}.", "Can you name {0} {1}?", "Please list {0} {1} for me.",
         "I need {0} examples of {1}."),
        1, 12,
    ),
    Advice(
        "advice",
        ("How can I {0}?", "What should I do to {0}?", "Give me some tips to {0}.", "I want to {0}. Any advice?",
         "What is a good way to {0}?", "Help me to {0}, please.", "My brother wants to {0}. What would you tell him?"),
        1, 28,
    ),
    Story(
        "story",
        ("Write a two-sentence story about {0}, the {1} and the {2}.",
         "Tell me a very short story with {0}, the {1} and the {2} in it.",
         "Make up two sentences about {0} in the {1} with the {2}."),
        2, 24,
    ),
    Message(
        "message",
        ("Write a short message to {0}.", "Please write a note to {0}.", "Help me {0} in two sentences.",
         "I have to {0}. What can I write?"),
        2, 24,
    ),
)  # fmt: skip
