/* The drawing: elements, looks, and what a click does. */

const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`).trim();
const FONT = getComputedStyle(document.querySelector("h1")).fontFamily;
const pen = document.createElement("canvas").getContext("2d");
const shorten = (text, most) => (text.length <= most ? text : `${text.slice(0, most / 2)}…${text.slice(1 - most / 2)}`);

function measured(label, size, weight) {
  pen.font = `${weight} ${size}px ${FONT}`;
  return Math.max(...label.split("\n").map((line) => pen.measureText(line).width));
}

function nodeElement(node) {
  const label = `${shorten(node.name, 40)}\n${node.kind === "anyone" ? "code out of sight" : node.kind}`;
  return {
    data: {
      id: `n${node.number}`, parent: node.home < 0 ? undefined : `m${node.home}`, label, family: node.family, node: node.number,
      width: Math.max(56, measured(label, 12, 500) + 26), height: 42, alarm: node.findings.length ? 1 : 0,
    },
    classes: [node.type, node.open || node.kind === "anyone" ? "loose" : "", node.findings.length ? "alarm" : ""].join(" "),
  };
}

function moduleElement(number, inside) {
  if (state.open.has(number)) return { data: { id: `m${number}`, label: modules[number].name, module: number, pad: 18 }, classes: "module" };
  const units = inside.filter((node) => node.type === "unit").length;
  const found = new Set(inside.flatMap((node) => [...node.findings, ...touching[node.number].flatMap((link) => link[3])])).size;
  const told = [plural(units, "unit"), plural(inside.filter((node) => node.type === "resource").length, "resource")];
  if (found) told.push(plural(found, "finding"));
  const label = `${shorten(modules[number].name, 44)}\n${told.join(" · ")}`;
  return {
    data: { id: `m${number}`, label, module: number, width: measured(label, 12, 500) + 30, height: 48, alarm: found ? 1 : 0 },
    classes: found ? "closed alarm" : "closed",
  };
}

function elements() {
  const { shown, kept } = visible();
  const inside = new Map();
  shown.forEach((node) => { if (node.home >= 0) inside.set(node.home, [...(inside.get(node.home) || []), node]); });
  const stand = nodes.map((node) => (node.home >= 0 && !state.open.has(node.home) ? `m${node.home}` : `n${node.number}`));
  const gathered = new Map();
  kept.forEach((link) => {
    const [source, target] = [stand[link[0]], stand[link[1]]];
    if (source === target && source[0] === "m") return;
    const key = `${source}>${target}`;
    if (!gathered.has(key)) gathered.set(key, { data: { id: key, source, target, links: [] }, classes: "" });
    gathered.get(key).data.links.push(link.number);
  });
  for (const edge of gathered.values()) {
    const all = edge.data.links.map((number) => links[number]);
    const words = [...new Set(all.flatMap((link) => link[2].filter(([, act]) => !state.acts.has(act)).map(([name]) => name)))];
    edge.data.label = words.length > 3 ? `${words.slice(0, 3).join(", ")}…` : words.join(", ");
    edge.data.width = 1.1 + Math.min(3, Math.log2(all.length) / 2);
    const acts = new Set(all.flatMap(linkActs).filter((act) => !state.acts.has(act)));
    edge.data.alarm = all.some((link) => link[3].length) ? 1 : 0;
    edge.classes = [acts.size === 1 && acts.has("owning") ? "own" : "", edge.data.alarm ? "alarm" : ""].join(" ");
    edge.data.far = edge.data.source[0] === "m" || edge.data.target[0] === "m" ||
      nodes[+edge.data.source.slice(1)].home !== nodes[+edge.data.target.slice(1)].home ? 1 : 0;
  }
  const boxes = [...inside.keys()].sort((a, b) => (modules[a].name < modules[b].name ? -1 : 1));
  return [
    ...boxes.map((number) => moduleElement(number, inside.get(number))),
    ...shown.filter((node) => node.home < 0 || state.open.has(node.home)).map(nodeElement),
    ...gathered.values(),
  ];
}

function look() {
  const families = [...new Set(nodes.map((node) => node.family))];
  const text = { "font-family": FONT, color: colour("ink"), "text-wrap": "wrap", "line-height": 1.25 };
  return [
    { selector: "node", style: { ...text, label: "data(label)", "font-size": 12, "text-valign": "center", "text-halign": "center", "min-zoomed-font-size": 4 } },
    { selector: "node[width]", style: { width: "data(width)", height: "data(height)" } },
    { selector: ".unit", style: { shape: "round-rectangle", "corner-radius": 5, "border-width": 1.5, "font-weight": 500 } },
    { selector: ".resource", style: { shape: "round-rectangle", "corner-radius": 20, "border-width": 1.5 } },
    { selector: ".object", style: { shape: "cut-rectangle", "corner-radius": 6, "border-width": 1.2, color: colour("soft") } },
    ...families.map((family) => ({
      selector: `[family = "${family}"]`, style: { "background-color": colour(`${family}-fill`), "border-color": colour(family) },
    })),
    { selector: ".loose", style: { "border-style": "dashed" } },
    { selector: ".module", style: {
      shape: "round-rectangle", "corner-radius": 12, "background-color": colour("sunken"), "background-opacity": 0.75, "border-width": 1,
      "border-color": colour("line"), padding: "data(pad)", "text-valign": "top", "text-halign": "center", "text-margin-y": -5, color: colour("soft"),
      "font-weight": 600, "font-size": 13,
    } },
    { selector: ".closed", style: {
      shape: "round-rectangle", "corner-radius": 10, "background-color": colour("panel"), "border-width": 1.2, "border-color": colour("faint"),
    } },
    { selector: "node.alarm", style: { "border-color": colour("alarm"), "border-width": 2.5 } },
    { selector: "edge", style: {
      ...text, "curve-style": "bezier", "control-point-step-size": 28, width: "data(width)", "line-color": colour("edge"), "target-arrow-color": colour("edge"),
      "target-arrow-shape": "triangle", "arrow-scale": 0.85, "font-size": 10, color: colour("soft"), "text-background-color": colour("ground"),
      "text-background-opacity": 0.9, "text-background-padding": 2, "text-rotation": "autorotate", "min-zoomed-font-size": 6,
      "loop-direction": "-20deg", "loop-sweep": "-40deg",
    } },
    { selector: "edge.told", style: { label: "data(label)" } },
    { selector: "edge.routed", style: {
      "curve-style": "round-segments", "segment-weights": "data(along)", "segment-distances": "data(beside)", "segment-radii": 18,
      "edge-distances": "node-position",
    } },
    { selector: "edge.busy", style: { opacity: 0.22 } },
    { selector: "edge.dense", style: { opacity: 0.09 } },
    { selector: "edge.dense[far = 0]", style: { opacity: 0.5 } },
    { selector: "edge.alarm", style: { "line-color": colour("alarm"), "target-arrow-color": colour("alarm"), opacity: 0.85, "z-index": 5 } },
    { selector: "edge.own", style: { "line-style": "dotted", "target-arrow-shape": "vee" } },
    { selector: ".faded", style: { opacity: 0.12, "text-opacity": 0.25, events: "yes" } },
    { selector: "node.module.faded", style: { opacity: 0.6 } },
    { selector: "edge.faded", style: { opacity: 0.05 } },
    { selector: "edge.dense.faded", style: { visibility: "hidden" } },
    { selector: "edge.some", style: { opacity: 0.25, "z-index": 8 } },
    { selector: "edge.near", style: { opacity: 1, width: 2, "z-index": 9 } },
    { selector: "node.picked", style: { "overlay-color": colour("focus"), "overlay-opacity": 0.14, "overlay-padding": 6 } },
    { selector: "node.module.picked", style: { "overlay-opacity": 0, "border-color": colour("focus"), "border-width": 2 } },
    { selector: "edge.picked", style: { "line-color": colour("focus"), "target-arrow-color": colour("focus"), opacity: 1, width: 3, label: "data(label)", "z-index": 10 } },
    { selector: "node.live", style: { label: "data(now)" } },
    { selector: "node.now", style: { "border-color": colour("focus"), "border-width": 3, "overlay-color": colour("focus"), "overlay-opacity": 0.12, "overlay-padding": 5 } },
    { selector: "edge.now", style: { "line-color": colour("focus"), "target-arrow-color": colour("focus"), opacity: 1, width: 3.5, label: "data(label)", "z-index": 10 } },
    { selector: "node.stuck", style: { "background-color": colour("alarm-soft"), "border-color": colour("alarm"), "border-width": 3.5, color: colour("alarm"), "overlay-color": colour("alarm"), "overlay-opacity": 0.14, "overlay-padding": 6 } },
    { selector: "edge.blocked", style: { "line-color": colour("alarm"), "target-arrow-color": colour("alarm"), "line-style": "dashed", opacity: 1, width: 3, "z-index": 10 } },
    { selector: "node:active, edge:active", style: { "overlay-opacity": 0.08 } },
  ];
}

const cy = cytoscape({
  container: byId("graph"), elements: [], style: look(), minZoom: 0.04, maxZoom: 2.5, boxSelectionEnabled: false,
  autounselectify: true, hideEdgesOnViewport: links.length > 3000, textureOnViewport: false, layout: { name: "preset" },
});
window.leaklint = { cy, state };  // for who wants to look from the console

function draw(fit) {
  const fresh = elements();
  cy.batch(() => { cy.elements().remove(); cy.add(fresh); });
  arrange(cy);
  const count = cy.edges().length;
  cy.edges().toggleClass("busy", count > 120);
  cy.edges().toggleClass("dense", count > 350);
  byId("empty").hidden = cy.nodes().length > 0;
  if (fit) fitAll();
  highlight();
}

function fitAll() {
  if (!cy.nodes().length) return;
  cy.fit(undefined, 36);
  if (cy.zoom() > 1.25) { cy.zoom(1.25); cy.center(); }
}

function standIn(number) {
  /* What stands for a node: itself, or its module when that is closed. */
  const own = cy.getElementById(`n${number}`);
  return own.length ? own : cy.getElementById(`m${nodes[number].home}`);
}

function picked() {
  /* What the panel tells of, as elements. */
  const shown = state.shown;
  if (!shown) return cy.collection();
  if (shown.node !== undefined) return standIn(shown.node);
  if (shown.module !== undefined) return cy.getElementById(`m${shown.module}`);
  if (shown.steps !== undefined) return nodesOf(schedules.get(shown.steps)[shown.at]).reduce((all, number) => all.union(standIn(number)), cy.collection());
  const wanted = new Set(shown.links || links.filter((link) => link[3].includes(shown.finding)).map((link) => link.number));
  const found = cy.edges().filter((edge) => edge.data("links").some((number) => wanted.has(number)));
  if (shown.links) return found;
  return found.union(nodes.filter((node) => node.findings.includes(shown.finding)).reduce((all, node) => all.union(standIn(node.number)), cy.collection()));
}

const isStepping = () => Boolean(state.shown) && state.shown.steps !== undefined;

function highlight() {
  const own = picked();
  relabel();
  cy.batch(() => {
    cy.elements().removeClass("faded near some picked now stuck blocked");
    cy.elements().forEach((one) => one.toggleClass("alarm", one.data("alarm") === 1));
    cy.edges().toggleClass("told", cy.edges().length <= TOLD);
    if (isStepping()) { highlightStep(); return; }
    if (own.empty()) return;
    const inside = own.union(own.descendants());
    const edges = state.shown.finding === undefined ? inside.edges().union(inside.nodes().connectedEdges()) : inside.edges();
    const lit = inside.union(edges).union(edges.connectedNodes()).union(own.ancestors());
    cy.elements().not(lit).not(lit.ancestors()).addClass("faded");
    edges.addClass(edges.length <= MANY ? "near" : "some");
    if (edges.length <= 40) edges.addClass("told");
    own.addClass("picked");
  });
}

function bring(elements, isAlone) {
  if (elements.empty()) return;
  const around = isAlone ? elements : elements.union(elements.edges().connectedNodes()).union(elements.nodes("[node >= 0]").closedNeighborhood());
  const seen = cy.extent(), box = around.boundingBox();
  const isInside = box.x1 >= seen.x1 && box.x2 <= seen.x2 && box.y1 >= seen.y1 && box.y2 <= seen.y2;
  if (isInside && cy.zoom() > 0.45) return;
  const whole = Math.min(1, cy.width() / (box.w + 120), cy.height() / (box.h + 120));
  cy.animate({ zoom: Math.max(0.6, whole), center: { eles: whole < 0.6 ? elements : around }, duration: 220 });
}

function select(shown, reveal) {
  state.shown = shown;
  if (shown && reveal) {
    const wanted = shown.node !== undefined ? [shown.node] : shown.steps !== undefined ? nodesOf(schedules.get(shown.steps).flat()) : shown.finding !== undefined
      ? [...nodes.filter((node) => node.findings.includes(shown.finding)).map((node) => node.number),
        ...links.filter((link) => link[3].includes(shown.finding)).flatMap((link) => [link[0], link[1]])] : [];
    const closed = new Set(wanted.map((number) => nodes[number].home).filter((home) => home >= 0 && !state.open.has(home)));
    const isHidden = wanted.some((number) => !isAllowed(nodes[number]));
    if (isHidden) { state.kinds.clear(); state.modules.clear(); state.onlyFindings = false; filters(); }
    if (closed.size && closed.size <= 4) closed.forEach((home) => state.open.add(home));
    if (closed.size || isHidden) draw(false);
  }
  highlight();
  if (reveal && isStepping()) bring(schedules.get(shown.steps).flatMap(nodesOf).reduce((all, number) => all.union(standIn(number)), cy.collection()), true);
  else if (reveal) bring(picked());
  cy.nodes(".live").dirtyBoundingBoxCache();  // cytoscape measures a new text too late, and would cut it off
  tell();
}

function toggle(number) {
  if (state.open.has(number)) state.open.delete(number); else state.open.add(number);
  state.shown = { module: number };
  draw(false);
  const box = cy.getElementById(`m${number}`);
  const zoom = Math.min(1, cy.width() / (box.boundingBox().w + 120), cy.height() / (box.boundingBox().h + 120));
  cy.animate({ center: { eles: box }, zoom: state.open.has(number) ? zoom : cy.zoom(), duration: 220 });
  tell();
}

cy.on("tap", (event) => {
  const target = event.target;
  if (target === cy) select(null);
  else if (target.isEdge()) select({ links: target.data("links") });
  else if (target.data("node") !== undefined) select({ node: target.data("node") });
  else if (target.hasClass("closed")) toggle(target.data("module"));
  else select({ module: target.data("module") });
});
cy.on("dbltap", ".module", (event) => { if (event.target.hasClass("module")) toggle(event.target.data("module")); });
cy.on("mouseover", "edge", (event) => event.target.addClass("told near"));
cy.on("mouseout", "edge", () => highlight());
cy.on("mouseover", "node", () => { cy.container().style.cursor = "pointer"; });
cy.on("mouseout", "node", () => { cy.container().style.cursor = ""; });
