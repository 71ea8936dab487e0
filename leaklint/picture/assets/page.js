"use strict";
/* Draws the facts of the page with cytoscape. Nodes and links are known by their number; a link is [source, target, operations, findings],
   an operation [name, act, places], places are file, line, file, line, … */

const facts = JSON.parse(document.getElementById("facts").textContent);
const { nodes, links, modules, findings, files, code } = facts;

const LARGE = 60;      // nodes: from here on modules are closed at first
const BUSY = 40;       // nodes: from here on what only looks is not shown at first
const CONTEXT = 4;     // lines of source before and after a place
const TOLD = 70;       // arrows: up to here all of them bear their words
const MANY = 150;      // arrows: more than these are not all drawn strong
const FEW = 30;        // rows of a list before "more"
const ACTS = ["passing", "starting", "ending", "locking", "waiting", "owning", "looking"];
const ACT_WORDS = {
  passing: "send, receive, close", starting: "spawn, arm, register", ending: "cancel, join", locking: "acquire, release",
  waiting: "wait, signal", owning: "own", looking: "observe, copy, store",
};
const QUIET = new Set(["looking", "owning"]);

const moduleOfFile = new Map(modules.map((module, number) => [module.file, number]));
nodes.forEach((node, number) => { node.number = number; node.home = moduleOfFile.has(node.module) ? moduleOfFile.get(node.module) : -1; });
links.forEach((link, number) => { link.number = number; });
const touching = nodes.map(() => []);
links.forEach((link) => { touching[link[0]].push(link); if (link[1] !== link[0]) touching[link[1]].push(link); });

const marked = new Set(nodes.filter((node) => node.findings.length).map((node) => node.number));
links.filter((link) => link[3].length).forEach((link) => { marked.add(link[0]).add(link[1]); });

const state = {
  open: new Set(nodes.length < LARGE ? modules.keys() : []),
  kinds: new Set(), acts: new Set(nodes.length < BUSY ? [] : ["looking"]), modules: new Set(),  // what is hidden
  onlyFindings: false,
  shown: null,           // what the panel tells of: {node} or {links} or {module} or {finding} or {steps: a finding, at}
};

/* --- small pieces of the page */

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== ""));
  return element;
}
const byId = (id) => document.getElementById(id);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const folder = files.length ? files.map((file) => file.split("/").slice(0, -1)).reduce((all, one) => {
  const end = all.findIndex((part, number) => part !== one[number]);
  return end < 0 ? all : all.slice(0, end);
}).join("/").length : 0;
const shortFiles = files.map((file) => (folder ? file.slice(folder + 1) : file));  // without the folder that all are in
const place = (file, line) => `${shortFiles[file]}:${line}`;
const moduleName = (number) => (number < 0 ? "code out of sight" : modules[number].name);

function dot(node) {
  const sort = node.type === "resource" ? "dot resource" : "dot";
  return make("span", { class: sort, style: `color: var(--${node.family}); background: var(--${node.family}-fill)` });
}

const TOKENS = new RegExp([
  /(?<c>#.*)/, /(?<s>[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))/,
  /(?<k>\b(?:and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|case|nonlocal|not|or|pass|raise|return|try|while|with|yield|None|True|False)\b)/,
].map((part) => part.source).join("|"), "g");

function coloured(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKENS)) {
    const [sort] = Object.entries(found.groups).find(([, value]) => value !== undefined);
    parts.push(text.slice(end, found.index), make("span", { class: sort }, found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function snippet(file, lines) {
  /* The source around the lines, without the indentation that all of it has. */
  const known = code[file] || {};
  const wanted = new Set(lines.flatMap((line) => Array.from({ length: 2 * CONTEXT + 1 }, (_, step) => line - CONTEXT + step)));
  const numbers = [...wanted].filter((line) => known[line] !== undefined).sort((a, b) => a - b);
  if (!numbers.length) return make("p", { class: "quiet" }, "The source could not be read.");
  const indent = Math.min(...numbers.filter((line) => known[line]).map((line) => known[line].search(/\S/)));
  return make("pre", { "data-file": files[file] }, numbers.map((line) => make(
    "span", { class: lines.includes(line) ? "line here" : "line", "data-number": line }, coloured(known[line].slice(indent) || " "),
  )));
}

function spot(file, line, open, before) {
  const body = make("details", { open }, make("summary", {}, before || "", make("code", { title: files[file] }, place(file, line))));
  const fill = () => { if (body.open && body.children.length === 1) body.append(snippet(file, [line])); };
  body.addEventListener("toggle", fill);
  fill();
  return body;
}

function few(items, build) {
  const list = make("ul", { class: "list" }, items.slice(0, FEW).map((item) => make("li", {}, build(item))));
  if (items.length <= FEW) return list;
  const more = make("button", { onclick: () => { more.remove(); list.append(...items.slice(FEW).map((item) => make("li", {}, build(item)))); } },
    `${items.length - FEW} more`);
  return [list, more];
}

/* --- what is shown */

const linkActs = (link) => link[2].map((operation) => operation[1]);
const isActive = (link) => linkActs(link).some((act) => !state.acts.has(act));

function isAllowed(node) {
  if (state.kinds.has(node.kind) || state.modules.has(node.home)) return false;
  return !state.onlyFindings || marked.has(node.number);
}

function visible() {
  const allowed = nodes.map(isAllowed);
  const kept = links.filter((link) => allowed[link[0]] && allowed[link[1]] && isActive(link));
  const ends = new Set(kept.flatMap((link) => [link[0], link[1]]));
  const shown = nodes.filter((node) => allowed[node.number] && (ends.has(node.number) || !touching[node.number].length || marked.has(node.number)));
  return { shown, kept };
}
