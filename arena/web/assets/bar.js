(() => {
  const put = () => {
    if (document.getElementById("tb-bar")) return;
    const bar = document.createElement("header");
    bar.id = "tb-bar";
    bar.innerHTML = `__BAR__`;
    document.body.prepend(bar);
  };
  if (document.body) put();
  else document.addEventListener("DOMContentLoaded", put);
})();
