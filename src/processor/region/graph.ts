/** Control-flow graphs of regions: order, dominators, which edges can be structured. */

export interface GraphNode {
  /** Indexes of successors in the region. */
  readonly successors: readonly number[];
}

/** A node that stands before the entries of a loop that has several: all edges to them pass through it. */
export interface Dispatcher {
  /** The dispatcher's own index, behind those of the given nodes. */
  readonly node: number;
  /** The entries; an edge to entry i comes with the selector i. */
  readonly entries: readonly number[];
}

/** A graph prepared for structured emission (Ramsey, "Beyond Relooper", ICFP 2022). */
export interface FlowGraph {
  /** Dispatchers that make loops with several entries reducible, by entry. */
  readonly dispatchers: ReadonlyMap<number, Dispatcher>;
  /** The dispatchers in the order of their nodes, which follow the given ones. */
  readonly dispatcherNodes: readonly Dispatcher[];
  /** Position of each node in reverse post-order. */
  readonly order: readonly number[];
  /** Nodes that are loop headers. */
  readonly isLoop: readonly boolean[];
  /** Nodes with more than one forward edge into them. */
  readonly isMerge: readonly boolean[];
  /** Children in the dominator tree. */
  readonly children: readonly (readonly number[])[];
  /** Whether an edge goes back to a node that does not dominate its source: it has to leave the region. */
  isIrreducible(from: number, to: number): boolean;
}

/** Loops with several entries that are mended; beyond that, edges leave the region. */
const MAX_DISPATCHERS = 8;

/**
 * Prepares a graph whose node 0 is the entry. All nodes are reachable from it. Null when a dispatcher itself would
 * have to leave the region.
 */
export function analyse(given: readonly GraphNode[]): FlowGraph | null {
  const dispatchers = new Map<number, Dispatcher>();
  const dispatcherNodes: Dispatcher[] = [];
  let nodes = given;
  for (;;) {
    const flow = classify(nodes, dispatchers, dispatcherNodes);
    const edge = flow.irreducible;
    if (edge === undefined) return flow;
    const entries = loopEntries(nodes, flow, edge).filter((entry) => !dispatchers.has(entry));
    if (dispatcherNodes.length === MAX_DISPATCHERS || entries.length < 2) {
      const fits = dispatcherNodes.every(({ node, entries: own }) =>
        own.every((entry) => !flow.isIrreducible(node, entry)),
      );
      return fits ? flow : null;
    }
    const dispatcher: Dispatcher = { node: nodes.length, entries };
    dispatcherNodes.push(dispatcher);
    for (const entry of entries) dispatchers.set(entry, dispatcher);
    const through = (to: number): number => (entries.includes(to) ? dispatcher.node : to);
    nodes = [...nodes.map(({ successors }) => ({ successors: successors.map(through) })), { successors: entries }];
  }
}

/** The entries of the loop that an irreducible edge closes: nodes of its cycle that are reached from outside of it. */
function loopEntries(nodes: readonly GraphNode[], flow: Flow, [from, to]: readonly [number, number]): number[] {
  const { order, parent } = flow;
  let a = from;
  let b = to;
  while (a !== b) {
    if ((order[a] as number) > (order[b] as number)) a = parent[a] as number;
    else b = parent[b] as number;
  }
  const root = a;
  const below = (node: number): boolean => {
    let at = node;
    while ((order[at] as number) > (order[root] as number)) at = parent[at] as number;
    return at === root && node !== root;
  };
  const predecessors: number[][] = nodes.map(() => []);
  for (const [node, { successors }] of nodes.entries()) for (const next of successors) predecessors[next]?.push(node);
  const reach = (start: number, edges: (node: number) => readonly number[]): Set<number> => {
    const seen = new Set([start]);
    for (const node of seen) for (const next of edges(node)) if (below(next)) seen.add(next);
    return seen;
  };
  const forward = reach(to, (node) => (nodes[node] as GraphNode).successors);
  const backward = reach(to, (node) => predecessors[node] as number[]);
  const cycle = [...forward].filter((node) => backward.has(node));
  const inside = new Set(cycle);
  return cycle.filter((node) => (predecessors[node] as number[]).some((before) => !inside.has(before)));
}

interface Flow extends FlowGraph {
  readonly parent: readonly number[];
  readonly irreducible: readonly [number, number] | undefined;
}

function classify(
  nodes: readonly GraphNode[],
  dispatchers: ReadonlyMap<number, Dispatcher>,
  dispatcherNodes: readonly Dispatcher[],
): Flow {
  const count = nodes.length;
  const order = new Array<number>(count).fill(-1);
  const reverse: number[] = [];
  const visited = new Array<boolean>(count).fill(false);
  const stack: [number, number][] = [[0, 0]];
  visited[0] = true;
  while (stack.length > 0) {
    const top = stack[stack.length - 1] as [number, number];
    const next = (nodes[top[0]] as GraphNode).successors[top[1]++];
    if (next === undefined) {
      reverse.push(top[0]);
      stack.pop();
    } else if (!visited[next]) {
      visited[next] = true;
      stack.push([next, 0]);
    }
  }
  reverse.reverse();
  for (const [position, node] of reverse.entries()) order[node] = position;
  const orderOf = (node: number): number => order[node] as number;

  const removed = new Set<number>();
  let irreducible: [number, number] | undefined;
  const key = (from: number, to: number): number => from * count + to;
  let parent = dominators(nodes, reverse, order, removed, key);
  const dominates = (a: number, b: number): boolean => {
    let node = b;
    while (orderOf(node) > orderOf(a)) node = parent[node] as number;
    return node === a;
  };
  const edges: [number, number][] = [];
  for (const from of reverse)
    for (const to of (nodes[from] as GraphNode).successors)
      if (orderOf(to) <= orderOf(from) && !dominates(to, from)) edges.push([from, to]);
  const before = parent;
  for (const edge of edges) {
    irreducible ??= edge;
    removed.add(key(...edge));
  }
  if (removed.size > 0) parent = dominators(nodes, reverse, order, removed, key);

  const forward = new Array<number>(count).fill(0);
  const isLoop = new Array<boolean>(count).fill(false);
  for (const from of reverse) {
    for (const to of (nodes[from] as GraphNode).successors) {
      if (removed.has(key(from, to))) continue;
      if (orderOf(to) <= orderOf(from)) isLoop[to] = true;
      else forward[to] = (forward[to] as number) + 1;
    }
  }
  const children: number[][] = nodes.map(() => []);
  for (const node of reverse) if (node !== 0) (children[parent[node] as number] as number[]).push(node);
  return {
    dispatchers,
    dispatcherNodes,
    order,
    isLoop,
    isMerge: forward.map((n) => n > 1),
    children,
    isIrreducible: (from, to) => removed.has(key(from, to)),
    parent: before,
    irreducible,
  };
}

/** Immediate dominators (Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm"). */
function dominators(
  nodes: readonly GraphNode[],
  reverse: readonly number[],
  order: readonly number[],
  removed: ReadonlySet<number>,
  key: (from: number, to: number) => number,
): number[] {
  const predecessors: number[][] = nodes.map(() => []);
  for (const from of reverse)
    for (const to of (nodes[from] as GraphNode).successors)
      if (!removed.has(key(from, to))) (predecessors[to] as number[]).push(from);
  const parent = new Array<number>(nodes.length).fill(-1);
  parent[0] = 0;
  const meet = (left: number, right: number): number => {
    let a = left;
    let b = right;
    while (a !== b) {
      while ((order[a] as number) > (order[b] as number)) a = parent[a] as number;
      while ((order[b] as number) > (order[a] as number)) b = parent[b] as number;
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of reverse) {
      if (node === 0) continue;
      let best = -1;
      for (const from of predecessors[node] as number[]) {
        if (parent[from] === -1) continue;
        best = best === -1 ? from : meet(best, from);
      }
      if (best !== -1 && parent[node] !== best) {
        parent[node] = best;
        changed = true;
      }
    }
  }
  return parent;
}

/** Nodes that lie on a cycle of nodes none of which is left out. */
export function blocksInLoops<T extends GraphNode>(nodes: readonly T[], leftOut: (node: T) => boolean): Set<number> {
  const inLoops = new Set<number>();
  const skipped = nodes.map(leftOut);
  for (const start of nodes.keys()) {
    if (skipped[start]) continue;
    const reached = new Set<number>();
    const work = [start];
    for (let node = work.pop(); node !== undefined && !reached.has(start); node = work.pop())
      for (const next of (nodes[node] as T).successors) {
        if (skipped[next] || reached.has(next)) continue;
        reached.add(next);
        work.push(next);
      }
    if (reached.has(start)) inLoops.add(start);
  }
  return inLoops;
}
