/* The schedule of a proven finding, step by step: who does what in the graph, and how things stand then. The last step is all who are stuck. */

const schedules = new Map(findings.map((finding, number) => [number, scheduled(finding.witness)]).filter(([, steps]) => steps.length));

function scheduled(witness) {
  /* Each step is a list of events: one, but for the last. */
  const stuck = witness.filter((event) => event.way === "stuck");
  return [...witness.filter((event) => event.way !== "stuck").map((event) => [event]), ...(stuck.length ? [stuck] : [])];
}

const eventsUntil = (steps, at) => steps.slice(0, at + 1).flat();
const nodesOf = (events) => [...new Set(events.flatMap((event) => [event.node, event.to]))].filter((number) => number >= 0);
const linksOf = (events) => [...new Set(events.map((event) => event.link))].filter((number) => number >= 0);

function step(to) {
  const { steps, at } = state.shown;
  const next = Math.max(0, Math.min(schedules.get(steps).length - 1, to));
  if (next !== at) select({ steps, at: next }, true);
}

function stepKey(key) {
  /* Whether the key was one of the schedule. */
  if (!state.shown || state.shown.steps === undefined) return false;
  const { steps, at } = state.shown;
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: schedules.get(steps).length - 1 }[key];
  if (to === undefined) return false;
  step(to);
  return true;
}

/* --- in the graph */

function standings(events) {
  /* What stands below the names: the level of each resource, and what the units do. */
  const told = new Map(), units = new Map();
  const does = { acts: "runs", waits: "waits", ends: "ended", stuck: "stuck" };
  for (const event of events) {
    if (event.to >= 0 && event.level) told.set(event.to, event.level);
    if (event.node < 0) continue;
    if (!units.has(event.node)) units.set(event.node, new Map());
    units.get(event.node).set(event.unit, does[event.way]);
  }
  for (const [node, all] of units) {
    const counts = new Map();
    all.forEach((word) => counts.set(word, (counts.get(word) || 0) + 1));
    told.set(node, all.size === 1 ? [...counts.keys()][0] : [...counts].map(([word, count]) => `${count} ${word}`).join(", "));
  }
  return told;
}

function relabel() {
  /* Code out of sight bears the name of what it runs. */
  cy.nodes(".live").removeClass("live");
  if (!isStepping()) return;
  const { steps, at } = state.shown, until = eventsUntil(schedules.get(steps), at);
  standings(until).forEach((level, number) => {
    const node = nodes[number];
    const name = node.kind === "anyone" ? until.find((event) => event.node === number).unit.replaceAll("`", "") : node.name;
    cy.getElementById(`n${number}`).data("now", `${shorten(name, 40)}\n${level}`).addClass("live");
  });
}

function highlightStep() {
  const { steps, at } = state.shown, all = schedules.get(steps), now = all[at];
  const stand = (numbers) => numbers.reduce((found, number) => found.union(standIn(number)), cy.collection());
  const edgesOf = (numbers) => cy.edges().filter((edge) => edge.data("links").some((number) => numbers.includes(number)));
  const lit = stand(nodesOf(all.flat())).union(edgesOf(linksOf(all.flat())));
  cy.elements().not(lit).not(lit.ancestors()).addClass("faded");
  lit.edges().addClass("told");
  lit.nodes().removeClass("alarm");
  lit.edges().removeClass("alarm");
  const isOver = now[0].way === "stuck";
  const current = stand(nodesOf(now));
  if (!isOver) current.addClass("now");
  edgesOf(linksOf(now)).addClass(isOver ? "blocked" : "now");
  if (isOver) stand(now.map((event) => event.node).filter((number) => number >= 0)).addClass("stuck");
  return current.union(edgesOf(linksOf(now)));
}

/* --- in the panel */

function inCode(text) {
  return text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

function gauge(event) {
  const { name, sort, held, room, rough, closed, by, waiting, level } = event.after;
  const own = nodes[event.to];
  const slots = sort !== "channel" || rough || room > 16 || (room === null && held > 16) ? [] :
    Array.from({ length: room === null ? held : room }, (_, number) => make("span", { class: number < held ? "slot full" : "slot" }));
  const bar = sort === "channel" && !slots.length && room ? [make("span", { class: "bar" }, make("span", { style: `width: ${rough ? (held ? 100 : 0) : (100 * held) / room}%` }))] : [];
  const words = sort === "channel" && room === 0 ? "no buffer: from hand to hand" : room === null ? `${level}, no bound` : level;
  return make("div", { class: "gauge" },
    make("p", {}, own ? dot(own) : "", " ", make("code", { class: "name" }, name), " ", make("span", { class: "quiet" }, words), closed ? make("span", { class: "flag" }, " closed") : ""),
    slots.length || bar.length ? make("p", { class: "slots", "aria-hidden": "true" }, slots, bar, room === null ? make("span", { class: "quiet" }, "…") : "") : "",
    rough ? make("p", { class: "quiet" }, "One element stands for as many as there is room for.") : "",
    by.length ? make("p", {}, "held by ", inCode(by.join(", "))) : "",
    waiting.map((words) => make("p", {}, inCode(words))));
}

function eventCard(event, isFirst) {
  return make("div", { class: event.way === "stuck" ? "event stuck" : "event" },
    make("p", { class: "sentence" }, inCode(`${event.unit} ${event.does}`)),
    event.why ? make("p", { class: "why" }, inCode(event.why)) : "",
    event.after ? gauge(event) : "",
    spot(event.file, event.line, isFirst));
}

function stepLine(events, number, at) {
  const isOver = events[0].way === "stuck";
  const event = events[0];
  const words = isOver ? `Stuck: ${[...new Set(events.map((one) => one.unit))].join(", ")}` : `${event.unit} ${event.does}`;
  return make("li", {}, make("button", {
    class: isOver ? "row over" : "row", "aria-current": number === at ? "step" : false, title: place(event.file, event.line), onclick: () => step(number),
  }, make("span", { class: "number" }, number + 1), make("span", { class: "words" }, inCode(words)), make("span", { class: "where" }, place(event.file, event.line))));
}

function tellSteps({ steps, at }) {
  const finding = findings[steps], all = schedules.get(steps), last = all.length - 1;
  const go = (id, to, title, words) => make("button", { id, title, disabled: to < 0 || to > last || to === at, onclick: () => step(to) }, words);
  return [
    make("h2", {}, `${finding.code} step by step`),
    make("p", { class: "message" }, inCode(finding.message)),
    make("div", { class: "player" },
      go("first-step", at ? 0 : -1, "First step (Home)", "First"), go("previous-step", at - 1, "Previous step (←)", "←"),
      make("span", { id: "step-number" }, `${at + 1} of ${all.length}`),
      go("next-step", at + 1, "Next step (→)", "→"), go("last-step", at < last ? last : last + 1, "Last step (End)", "Last")),
    make("section", { id: "now" }, all[at].map((event, number) => eventCard(event, number === 0 || all[at].length <= 3))),
    make("h3", {}, "The schedule"),
    make("ol", { class: "list schedule" }, all.map((events, number) => stepLine(events, number, at))),
    make("p", {}, make("button", { onclick: () => select({ finding: steps }, true) }, "The finding"), " ", make("button", { onclick: () => select(null) }, "All findings")),
  ];
}

function provenList() {
  if (!schedules.size) return [];
  const row = (number) => make("li", {}, make("button", { class: "row", "data-steps": number, title: findings[number].message, onclick: () => select({ steps: number, at: 0 }, true) },
    make("span", { class: "flag" }, findings[number].code), make("span", { class: "name" }, place(findings[number].file, findings[number].line)),
    make("span", { class: "where" }, plural(schedules.get(number).length, "step"))));
  return [make("h3", {}, "Proven, step by step"), make("ul", { class: "list" }, [...schedules.keys()].map(row))];
}
