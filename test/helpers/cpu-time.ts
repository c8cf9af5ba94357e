/**
 * Milliseconds of CPU that this process used since `began`, a `process.cpuUsage()`. For what must not grow faster than its
 * input: unlike the time of day, it hardly depends on what else the machine does.
 */
export function cpuMsSince(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1_000;
}
