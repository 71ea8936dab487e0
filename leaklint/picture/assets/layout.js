/* Layout: dagre inside each open module, then the modules as boxes; what nothing connects is packed in rows. */

function packed(boxes, gap, shape) {
  const area = boxes.reduce((sum, box) => sum + (box.width + gap) * (box.height + gap), 0);
  const limit = Math.max(Math.sqrt(area * shape), ...boxes.map((box) => box.width));
  let [x, y, row, width] = [0, 0, 0, 0];
  for (const box of boxes) {
    if (x && x + box.width > limit) [x, y, row] = [0, y + row + gap, 0];
    [box.x, box.y] = [x, y];
    x += box.width + gap;
    row = Math.max(row, box.height);
    width = Math.max(width, x - gap);
  }
  return { width, height: y + row };
}

function layered(items, arrows, nodesep, ranksep) {
  /* items: [{id, width, height}], arrows: [{id, source, target, weight, label: size or null}]; gives left upper corners by id, the ways
     of the arrows by id, and the size. */
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep, ranksep, ranker: items.length > 80 || arrows.length > 200 ? "longest-path" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  items.forEach((item) => graph.setNode(item.id, { width: item.width, height: item.height }));
  arrows.forEach(({ id, source, target, weight, label }) => {
    if (source !== target) graph.setEdge(source, target, { weight, labelpos: "c", ...(label || {}) }, id);
  });
  dagre.layout(graph);
  const placed = items.map((item) => ({ ...item, x: graph.node(item.id).x, y: graph.node(item.id).y }));
  const ways = new Map(graph.edges().map((edge) => [edge.name, graph.edge(edge).points.slice(1, -1)]));
  return split(placed, ways, nodesep, ranksep);
}

function split(items, ways, nodesep, ranksep) {
  /* Ranks that are too tall become several columns. x and y are centres at first, corners in the result. */
  const ranks = new Map();
  items.forEach((item) => { const key = Math.round(item.x); ranks.set(key, [...(ranks.get(key) || []), item]); });
  const tallest = Math.max(9, Math.ceil(Math.sqrt(items.length) * 1.4));
  const isTall = [...ranks.values()].some((rank) => rank.length > tallest);
  if (isTall) {
    let left = 0;
    for (const key of [...ranks.keys()].sort((a, b) => a - b)) {
      const rank = ranks.get(key).sort((a, b) => a.y - b.y);
      const size = Math.ceil(rank.length / Math.ceil(rank.length / tallest));
      for (let start = 0; start < rank.length; start += size) {
        const column = rank.slice(start, start + size);
        const broadest = Math.max(...column.map((item) => item.width));
        let top = -column.reduce((sum, item) => sum + item.height + nodesep, -nodesep) / 2;
        column.forEach((item) => { item.x = left + broadest / 2; item.y = top + item.height / 2; top += item.height + nodesep; });
        left += broadest + (start + size < rank.length ? nodesep : ranksep);
      }
    }
  }
  const bends = isTall ? [] : [...ways.values()].flat();
  const across = [...items.flatMap((item) => [item.x - item.width / 2, item.x + item.width / 2]), ...bends.map((point) => point.x)];
  const down = [...items.flatMap((item) => [item.y - item.height / 2, item.y + item.height / 2]), ...bends.map((point) => point.y)];
  const [x, y] = [Math.min(...across), Math.min(...down)];
  const corners = new Map(items.map((item) => [item.id, [item.x - item.width / 2 - x, item.y - item.height / 2 - y]]));
  return {
    corners,
    ways: new Map(isTall ? [] : [...ways].map(([id, points]) => [id, points.map((point) => [point.x - x, point.y - y])])),
    width: Math.max(...across) - x,
    height: Math.max(...down) - y,
  };
}

function parts(items, arrows) {
  const leader = new Map(items.map((item) => [item.id, item.id]));
  const find = (id) => { while (leader.get(id) !== id) id = leader.get(id); return id; };
  arrows.forEach(({ source, target }) => leader.set(find(source), find(target)));
  const groups = new Map();
  items.forEach((item) => { const head = find(item.id); groups.set(head, [...(groups.get(head) || []), item]); });
  return [...groups.values()].sort((a, b) => b.length - a.length);
}

function arranged(items, arrows, nodesep, ranksep, shape) {
  const groups = parts(items, arrows).map((group) => {
    const own = new Set(group.map((item) => item.id));
    return group.length === 1
      ? { corners: new Map([[group[0].id, [0, 0]]]), ways: new Map(), width: group[0].width, height: group[0].height }
      : layered(group, arrows.filter(({ source }) => own.has(source)), nodesep, ranksep);
  });
  const size = packed(groups, nodesep * 1.6, shape);
  const corners = new Map(groups.flatMap((group) => [...group.corners].map(([id, [x, y]]) => [id, [group.x + x, group.y + y]])));
  const ways = new Map(groups.flatMap((group) => [...group.ways].map(([id, way]) => [id, way.map(([x, y]) => [group.x + x, group.y + y])])));
  return { corners, ways, ...size };
}

function route(edge, points) {
  /* An arrow on its way between the nodes, as cytoscape wants it: how far along the straight line, and how far beside it. */
  const [from, to] = [edge.source().position(), edge.target().position()];
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bends = points.map(([x, y]) => [((x - from.x) * dx + (y - from.y) * dy) / length ** 2, ((y - from.y) * dx - (x - from.x) * dy) / length]);
  if (bends.every(([, beside]) => Math.abs(beside) < 2)) return;
  edge.data({ along: bends.map(([along]) => along.toFixed(4)).join(" "), beside: bends.map(([, beside]) => beside.toFixed(1)).join(" ") });
  edge.addClass("routed");
}

function overhang(layout, items) {
  /* How far arrows go beyond the nodes: a frame is drawn around the nodes alone. */
  const corners = items.map((item) => [...layout.corners.get(item.id), item]);
  return Math.max(0, Math.min(...corners.map(([x]) => x)), Math.min(...corners.map(([, y]) => y)),
    layout.width - Math.max(...corners.map(([x, , item]) => x + item.width)), layout.height - Math.max(...corners.map(([, y, item]) => y + item.height)));
}

function arrange(cy) {
  const PAD = 18, TITLE = 22;
  const isTold = cy.edges().length <= TOLD;
  const arrow = (edge, source, target) => ({
    id: edge.id(), source, target, weight: edge.hasClass("own") ? 1 : 3,
    label: isTold ? { width: measured(edge.data("label"), 10, 400) + 10, height: 14 } : null,
  });
  const sized = (node) => ({ id: node.id(), width: node.data("width"), height: node.data("height") });
  const ranksep = isTold ? 24 : 84;
  const inner = new Map();
  cy.nodes(".module").forEach((box) => {
    const children = box.children();
    const own = children.edgesWith(children).map((edge) => arrow(edge, edge.data("source"), edge.data("target")));
    const layout = arranged(children.map(sized), own, 18, ranksep, 1.5);
    inner.set(box.id(), layout);
    box.data("pad", PAD + overhang(layout, children.map(sized)));
  });
  const items = cy.nodes().filter((node) => node.isOrphan()).map((node) => {
    const box = inner.get(node.id());
    if (!box) return sized(node);
    const pad = node.data("pad");
    return { id: node.id(), width: Math.max(box.width, measured(node.data("label"), 13, 600)) + 2 * pad, height: box.height + 2 * pad + TITLE };
  });
  const across = cy.edges().map((edge) => {
    const [source, target] = [edge.source(), edge.target()].map((node) => (node.isChild() ? node.parent().id() : node.id()));
    return arrow(edge, source, target);
  }).filter(({ source, target }) => source !== target);
  const wide = Math.min(2.4, Math.max(0.7, cy.width() / cy.height()));
  let outer = items.length > 14 ? null : arranged(items, across, 34, isTold ? 40 : 90, wide);
  const off = outer ? outer.width / outer.height / wide : 0;
  const area = items.reduce((sum, item) => sum + (item.width + 34) * (item.height + 34), 0);
  if (off > 2.6 || off < 0.4 || (inner.size > 2 && outer.width * outer.height > 3 * area)) {
    const boxes = items.map((item) => ({ ...item }));
    outer = { ways: new Map(), ...packed(boxes, 34, wide), corners: new Map(boxes.map((box) => [box.id, [box.x, box.y]])) };
  }
  const moved = [];
  items.forEach((item) => {
    const [x, y] = outer.corners.get(item.id);
    const box = inner.get(item.id);
    if (!box) { cy.getElementById(item.id).position({ x: x + item.width / 2, y: y + item.height / 2 }); return; }
    const [left, top] = [x + (item.width - box.width) / 2, y + (item.height - TITLE - box.height) / 2 + TITLE];
    for (const [id, [dx, dy]] of box.corners) {
      const node = cy.getElementById(id);
      node.position({ x: left + dx + node.data("width") / 2, y: top + dy + node.data("height") / 2 });
    }
    box.ways.forEach((way, id) => moved.push([id, way.map(([dx, dy]) => [left + dx, top + dy])]));
  });
  outer.ways.forEach((way, id) => moved.push([id, way]));
  moved.forEach(([id, way]) => {
    const edge = cy.getElementById(id);
    if (!edge.source().isParent() && !edge.target().isParent() && edge.source().parent().same(edge.target().parent())) route(edge, way);
  });
}
