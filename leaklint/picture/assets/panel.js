/* The panel: what is known of a node, an arrow, a module or a finding. */

function nodeRow(node, extra) {
  return make("button", { class: "row", title: node.line ? place(node.module, node.line) : "", onclick: () => select({ node: node.number }, true) },
    dot(node), make("span", { class: "name" }, node.name), make("span", { class: "where" }, extra || node.kind));
}

function findingCard(number, open) {
  const finding = findings[number];
  const body = make("div", {});
  const fill = () => {
    body.replaceChildren();
    const steps = finding.trace.filter(([, , message]) => !message.startsWith("mend: "));
    const mends = finding.trace.filter(([, , message]) => message.startsWith("mend: "));
    const isTold = steps.some(([file, line]) => file === finding.file && line === finding.line);
    const isLast = (number) => number === steps.length - 1 || place(...steps[number]) !== place(...steps[number + 1]);
    body.append(make("ol", {},
      isTold ? "" : make("li", { class: "step" }, spot(finding.file, finding.line, true)),
      steps.map(([file, line, message], number) => make("li", { class: "step" }, message, isLast(number) ? spot(file, line, true) : ""))));
    if (schedules.has(number)) body.append(make("p", {}, make("button", { class: "through", onclick: () => select({ steps: number, at: 0 }, true) }, "Step through it")));
    mends.forEach(([, , message]) => body.append(make("p", { class: "mend" }, make("strong", {}, "Mend "), message.slice(6))));
  };
  if (open) fill();
  return make("article", { class: "finding", "data-finding": number },
    make("button", { onclick: () => select({ finding: number }, true) },
      make("span", { class: "code" }, finding.code), ` ${finding.name} `,
      make("p", { class: "message" }, finding.message),
      make("span", { class: "quiet" }, `${finding.confidence}, ${finding.growth} · `, make("code", {}, place(finding.file, finding.line)))),
    body);
}

function findingList(numbers, open) {
  if (!numbers.length) return [];
  return [make("h3", {}, plural(numbers.length, "finding")), numbers.slice(0, 100).map((number) => findingCard(number, open))];
}

function operations(list, isOpen) {
  return list.map(([name, , places]) => {
    const spots = [];
    for (let at = 0; at < places.length; at += 2) spots.push([places[at], places[at + 1]]);
    return make("div", {}, spots.map(([file, line], number) => spot(file, line, isOpen && number === 0, [make("span", { class: "act" }, name), " "])));
  });
}

function uses(node) {
  /* By operation: who does it to the node, or to what the node does it. */
  const groups = new Map();
  for (const link of touching[node.number]) {
    for (const operation of link[2]) {
      const isReceive = operation[0] === "receive";
      const isDoer = (link[0] === node.number) !== isReceive;
      const other = nodes[link[0] === node.number ? link[1] : link[0]];
      const key = `${isDoer ? "does" : "done"} ${operation[0]}`;
      if (!groups.has(key)) groups.set(key, { isDoer, name: operation[0], act: operation[1], rows: [] });
      groups.get(key).rows.push({ other, operation });
    }
  }
  const order = [...groups.values()].sort((a, b) => a.isDoer - b.isDoer || ACTS.indexOf(a.act) - ACTS.indexOf(b.act));
  return order.map(({ isDoer, name, act, rows }, number) => {
    const places = new Map();
    rows.forEach(({ operation }) => { for (let at = 0; at < operation[2].length; at += 2) places.set(place(operation[2][at], operation[2][at + 1]), [operation[2][at], operation[2][at + 1]]); });
    const title = isDoer ? `${name} →` : `${name} ← by`;
    const body = make("details", { open: number < 4 && !QUIET.has(act) },
      make("summary", {}, make("span", { class: "act" }, title), ` ${plural(rows.length, "node")}, ${plural(places.size, "place")}`),
      few(rows, ({ other }) => nodeRow(other)),
      few([...places.values()], ([file, line]) => spot(file, line, number < 2 && places.size === 1 && !QUIET.has(act))));
    return body;
  });
}

function tellNode(node) {
  const told = [make("h2", { class: "name" }, node.name), make("p", { class: "quiet" }, make("span", { class: "kind" }, dot(node), node.kind), ` in ${moduleName(node.home)}`)];
  if (node.kind === "anyone") told.push(make("p", { class: "quiet" }, "All code that was not looked at: whoever imports this module may call it."));
  if (node.open) told.push(make("p", { class: "quiet" }, `Open to code out of sight: ${node.open}.`));
  const numbers = [...new Set([...node.findings, ...touching[node.number].flatMap((link) => link[3])])].sort((a, b) => a - b);
  told.push(findingList(numbers, false));
  if (node.line) told.push(make("h3", {}, node.type === "object" ? "Defined" : node.kind === "main" ? "Begins" : "Made"), spot(node.module, node.line, true));
  const list = uses(node);
  if (list.length) told.push(make("h3", {}, "Who does what"), list);
  return told;
}

function tellLinks(numbers) {
  const all = numbers.map((number) => links[number]);
  const found = [...new Set(all.flatMap((link) => link[3]))].sort((a, b) => a - b);
  const build = (link) => [
    make("h3", {}, `${nodes[link[0]].name} → ${nodes[link[1]].name}`), nodeRow(nodes[link[0]]), nodeRow(nodes[link[1]]),
    operations(link[2], all.length <= 3),
  ];
  const title = all.length === 1 ? `${nodes[all[0][0]].name} → ${nodes[all[0][1]].name}` : plural(all.length, "link");
  return [make("h2", { class: "name" }, title), findingList(found, false), few(all, build)];
}

function tellModule(number) {
  const inside = nodes.filter((node) => node.home === number);
  const found = [...new Set(inside.flatMap((node) => [...node.findings, ...touching[node.number].flatMap((link) => link[3])]))].sort((a, b) => a - b);
  const group = (type, title) => {
    const rows = inside.filter((node) => node.type === type);
    return rows.length ? [make("h3", {}, title), few(rows, (node) => nodeRow(node))] : [];
  };
  return [
    make("h2", { class: "name" }, modules[number].name), make("p", { class: "quiet" }, make("code", {}, files[modules[number].file])),
    make("button", { onclick: () => toggle(number) }, state.open.has(number) ? "Collapse" : "Expand"),
    findingList(found, false), group("unit", "Units"), group("resource", "Resources"), group("object", "Objects"),
  ];
}

function tellAll() {
  const numbers = [...findings.keys()];
  return [
    make("h2", {}, findings.length ? plural(findings.length, "finding") : "No findings"),
    make("p", { class: "quiet" }, nodes.length
      ? "Click a node or an arrow for its source. A click on a closed module opens it; a double click closes it again."
      : "There are no units and no channels here."),
    provenList(), schedules.size ? make("h3", {}, "All findings") : "",
    numbers.slice(0, 200).map((number) => findingCard(number, false)),
    make("footer", {}, make("p", {}, make("kbd", {}, "/"), " search  ", make("kbd", {}, "f"), " fit  ", make("kbd", {}, "Esc"), " nothing selected"),
      make("details", {}, make("summary", {}, "Licences of what this page is made of"),
        Object.entries(facts.licences).map(([name, text]) => make("pre", {}, `${name}\n\n${text}`)))),
  ];
}

function tell() {
  const shown = state.shown;
  const panel = byId("details");
  const told = !shown ? tellAll()
    : shown.node !== undefined ? tellNode(nodes[shown.node])
    : shown.links ? tellLinks(shown.links)
    : shown.module !== undefined ? tellModule(shown.module)
    : shown.steps !== undefined ? tellSteps(shown)
    : [make("h2", {}, findings[shown.finding].code), findingCard(shown.finding, true)];
  panel.replaceChildren(...told.flat(Infinity).filter((one) => one !== ""));
  panel.scrollTop = 0;
}
