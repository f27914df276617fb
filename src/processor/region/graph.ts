/** Control-flow graphs of regions: order, dominators, which edges can be structured. */

export interface GraphNode {
  /** Indexes of successors in the region. */
  readonly successors: readonly number[];
}

/** A graph prepared for structured emission (Ramsey, "Beyond Relooper", ICFP 2022). */
export interface FlowGraph {
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

/** Prepares a graph whose node 0 is the entry. All nodes are reachable from it. */
export function analyse(nodes: readonly GraphNode[]): FlowGraph {
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
  const key = (from: number, to: number): number => from * count + to;
  let parent = dominators(nodes, reverse, order, removed, key);
  const dominates = (a: number, b: number): boolean => {
    let node = b;
    while (orderOf(node) > orderOf(a)) node = parent[node] as number;
    return node === a;
  };
  for (const from of reverse)
    for (const to of (nodes[from] as GraphNode).successors)
      if (orderOf(to) <= orderOf(from) && !dominates(to, from)) removed.add(key(from, to));
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
    order,
    isLoop,
    isMerge: forward.map((n) => n > 1),
    children,
    isIrreducible: (from, to) => removed.has(key(from, to)),
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
