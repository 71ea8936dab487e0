/* Filters, search, buttons; then everything begins. */

function filter(set, value, count, mark, word, title) {
  const box = make("input", { type: "checkbox", checked: !set.has(value), onchange: () => {
    if (box.checked) set.delete(value); else set.add(value);
    draw(true);
  } });
  return make("label", { class: "filter", title: title || word }, box, mark, make("span", { class: "word" }, word === "anyone" ? "code out of sight" : word), make("span", { class: "count" }, count));
}

function filters() {
  const kinds = new Map();
  nodes.forEach((node) => { const key = `${node.type} ${node.kind}`; kinds.set(key, [...(kinds.get(key) || []), node]); });
  const group = (type, title) => {
    const rows = [...kinds].filter(([key]) => key.startsWith(`${type} `)).sort((a, b) => b[1].length - a[1].length);
    return rows.length ? [make("h3", {}, title), rows.map(([, inside]) => filter(state.kinds, inside[0].kind, inside.length, dot(inside[0]), inside[0].kind))] : [];
  };
  const acts = ACTS.map((act) => [act, links.filter((link) => linkActs(link).includes(act)).length]).filter(([, count]) => count);
  const only = make("input", { type: "checkbox", id: "only-findings", checked: state.onlyFindings, onchange: () => { state.onlyFindings = only.checked; draw(true); } });
  const here = modules.map((module, number) => [number, nodes.filter((node) => node.home === number)]).sort((a, b) => (modules[a[0]].name < modules[b[0]].name ? -1 : 1));
  const all = (hide) => () => { state.modules = new Set(hide ? modules.keys() : []); filters(); draw(true); };
  byId("filters").replaceChildren(...[
    findings.length ? make("label", { class: "filter switch" }, only, make("span", { class: "word" }, "Findings only"), make("span", { class: "count flag" }, findings.length)) : "",
    group("unit", "Units"), group("resource", "Resources"), group("object", "Owners"),
    acts.length ? make("h3", {}, "Operations") : "",
    acts.map(([act, count]) => filter(state.acts, act, count, "", ACT_WORDS[act])),
    modules.length > 1 ? [make("h3", {}, "Modules"), make("p", { class: "quiet" }, make("button", { onclick: all(false) }, "all"), " ", make("button", { onclick: all(true) }, "none")),
      here.map(([number, inside]) => filter(state.modules, number, inside.length, inside.some((node) => marked.has(node.number)) ? make("span", { class: "flag" }, "●") : "", modules[number].name))] : "",
  ].flat(Infinity).filter((one) => one !== ""));
}

const field = byId("search"), hits = byId("hits");
let current = 0;

function matches(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return [];
  const rated = [];
  const rate = (name, whole, found) => {
    const text = whole.toLowerCase();
    if (wanted.every((word) => text.includes(word))) rated.push([name.toLowerCase() === words.toLowerCase() ? 0 : name.toLowerCase().includes(wanted[0]) ? 1 : 2, name.length, found]);
  };
  nodes.forEach((node) => { if (node.kind !== "anyone") rate(node.name, `${node.name} ${node.kind} ${moduleName(node.home)}${node.line ? ` ${place(node.module, node.line)}` : ""}`, { node: node.number }); });
  modules.forEach((module, number) => rate(module.name, `${module.name} module ${files[module.file]}`, { module: number }));
  findings.forEach((finding, number) => rate(finding.code, `${finding.code} ${finding.name} ${finding.message}`, { finding: number }));
  return rated.sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, 40).map(([, , found]) => found);
}

function hitRow(found, number) {
  const choose = (event) => { event.preventDefault(); closeHits(); field.blur(); select(found, true); };
  const content = found.node !== undefined
    ? [dot(nodes[found.node]), make("span", { class: "name" }, nodes[found.node].name), make("span", { class: "where" }, `${nodes[found.node].kind} · ${moduleName(nodes[found.node].home)}`)]
    : found.module !== undefined ? [make("span", { class: "name" }, modules[found.module].name), make("span", { class: "where" }, "module")]
    : [make("span", { class: "flag" }, findings[found.finding].code), make("span", {}, shorten(findings[found.finding].message, 60))];
  return make("li", { role: "option", "aria-selected": String(number === current), onmousedown: choose }, content);
}

function showHits() {
  const found = matches(field.value.trim());
  current = Math.max(0, Math.min(current, found.length - 1));
  hits.replaceChildren(...(found.length ? found.map(hitRow) : field.value.trim() ? [make("li", { class: "quiet" }, "Nothing has this name.")] : []));
  hits.hidden = !field.value.trim();
  field.setAttribute("aria-expanded", String(!hits.hidden));
  hits.children[current]?.scrollIntoView({ block: "nearest" });
  return found;
}
function closeHits() { hits.hidden = true; field.setAttribute("aria-expanded", "false"); }

field.addEventListener("input", () => { current = 0; showHits(); });
field.addEventListener("focus", showHits);
field.addEventListener("blur", closeHits);
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); current += event.key === "ArrowDown" ? 1 : -1; showHits(); }
  if (event.key === "Enter") { const found = matches(field.value.trim()); if (found[current]) { closeHits(); field.blur(); select(found[current], true); } }
  if (event.key === "Escape") field.blur();
});
document.addEventListener("keydown", (event) => {
  if (event.target === field || event.ctrlKey || event.metaKey || event.altKey) return;
  if (stepKey(event.key)) event.preventDefault();
  if (event.key === "/") { event.preventDefault(); field.focus(); field.select(); }
  if (event.key === "f") fitAll();
  if (event.key === "Escape") select(null);
});

/* --- start */

function retheme() { cy.style(look()); }
byId("fit").addEventListener("click", fitAll);
byId("open-all").addEventListener("click", () => { state.open = new Set(modules.keys()); draw(true); });
byId("close-all").addEventListener("click", () => { state.open.clear(); draw(true); });
byId("theme").addEventListener("click", () => {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  retheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", retheme);

const count = (type) => nodes.filter((node) => node.type === type && node.kind !== "anyone").length;
byId("what").textContent = [facts.title, plural(count("unit"), "unit"), plural(count("resource"), "resource"), plural(findings.length, "finding")].join(" · ");
filters();
draw(true);
tell();
