const root = element.querySelector(".tb-login");
const forms = Object.fromEntries([...root.querySelectorAll("form")].map((form) => [form.dataset.way, form]));
const query = new URLSearchParams(location.search);
const fragment = new URLSearchParams(location.hash.slice(1));

const forRater = query.get("from") === "rate";
root.querySelector("[data-for=rate]").hidden = !forRater;
root.querySelector("[data-for=anyone]").hidden = forRater;
root.querySelectorAll("[data-for]").forEach(translate);  // what is said to raters; the rest is for owners, in English

const send = async (form, body) => {
  const button = form.querySelector("button");
  const says = form.querySelector(".tb-says");
  button.disabled = true;
  says.textContent = "";
  try {
    const answer = await fetch(new URL("../api/login", location.href), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (answer.ok) {
      location.replace(told.next);
      return;
    }
    says.textContent = told.error[0].toUpperCase() + told.error.slice(1) + ".";
  } catch {
    says.textContent = "The server did not answer. Try again.";
  }
  button.disabled = false;
};

const wanted = { token: "Paste the token first.", name: "Write your name first.", password: "Write your password first." };

for (const form of Object.values(forms)) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = [...form.querySelectorAll("input")];
    const empty = fields.find((field) => !field.value.trim());
    if (empty) {
      form.querySelector(".tb-says").textContent = wanted[empty.name];
      empty.focus();
      return;
    }
    // a password may begin or end with a space; a pasted token or a name does not
    send(form, Object.fromEntries(fields.map((f) => [f.name, f.name === "password" ? f.value : f.value.trim()])));
  });
}

// a token in the address is used once and leaves the address at once
const given = query.get("token") || fragment.get("token");
if (given) {
  history.replaceState(null, "", location.pathname);
  forms.token.querySelector("input").value = given;
  send(forms.token, { token: given });
}
