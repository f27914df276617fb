/** Whether dist/powervisor.mjs is there and newer than every source (or there are none, as in the npm package). */
export function isCurrent(root) {
  const { readdirSync, statSync } = process.getBuiltinModule('node:fs');
  const { join } = process.getBuiltinModule('node:path');
  const built = statSync(join(root, 'dist/powervisor.mjs'), { throwIfNoEntry: false })?.mtimeMs;
  if (built === undefined) return false;
  const older = (folder) =>
    readdirSync(folder, { withFileTypes: true }).every((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? older(path) : statSync(path).mtimeMs < built;
    });
  return statSync(join(root, 'src'), { throwIfNoEntry: false }) === undefined || older(join(root, 'src'));
}
