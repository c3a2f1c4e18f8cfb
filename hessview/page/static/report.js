// The offline report's shell: mount the page, and let its reader choose light or dark.
const page = mount(document.getElementById("page"), JSON.parse(document.getElementById("state").textContent));
const button = document.getElementById("appearance");

function wear(name) {
  page.theme(name);
  document.body.classList.toggle("dark", page.dark);
  button.textContent = page.dark ? "Light" : "Dark";
  button.setAttribute("aria-label", `Switch to ${page.dark ? "light" : "dark"} colours`);
}

for (const details of document.querySelectorAll("details")) details.open = true; // a report is read to its end
let chosen = "";
button.hidden = false;
button.addEventListener("click", () => wear((chosen = page.dark ? "light" : "dark")));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wear(chosen));
addEventListener("beforeprint", () => wear("light")); // paper is white
addEventListener("afterprint", () => wear(chosen));
wear("");
