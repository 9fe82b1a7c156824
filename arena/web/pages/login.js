const root = element.querySelector(".tb-login");
const form = root.querySelector("form");
const field = form.querySelector("input");
const button = form.querySelector("button");
const says = form.querySelector(".tb-says");
const query = new URLSearchParams(location.search);
const fragment = new URLSearchParams(location.hash.slice(1));

const forRater = query.get("from") === "rate";
root.querySelector("[data-for=rate]").hidden = !forRater;
root.querySelector("[data-for=anyone]").hidden = forRater;

const send = async (token) => {
  button.disabled = true;
  says.textContent = "";
  try {
    const answer = await fetch(new URL("../api/login", location.href), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
    });
    const body = await answer.json();
    if (answer.ok) {
      location.replace(body.next);
      return;
    }
    says.textContent = body.error[0].toUpperCase() + body.error.slice(1) + ".";
  } catch {
    says.textContent = "The server did not answer. Try again.";
  }
  button.disabled = false;
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const token = field.value.trim();
  if (token) send(token);
  else says.textContent = "Paste the token first.";
});

// a token in the address is used once and leaves the address at once
const given = query.get("token") || fragment.get("token");
if (given) {
  history.replaceState(null, "", location.pathname);
  field.value = given;
  send(given);
}
