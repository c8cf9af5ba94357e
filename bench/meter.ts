/**
 * Preloaded (`--import`) into the process that is measured: responds to `meter` on the IPC channel with what the whole
 * process has used, worker threads included (getrusage). Needs `--expose-gc`.
 */
export interface Reading {
  /** User and system time since the start. Microseconds. */
  readonly cpuUs: number;
  /** After a full collection. Bytes. */
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Sockets, timers and other resources that keep the process alive: how many of each kind. */
  readonly resources: Readonly<Record<string, number>>;
}

const collect = (globalThis as { gc?: () => void }).gc;

process.on('message', (question) => {
  if (question === 'meter') answer();
  if (question === 'meter after collection') collectTwice();
});

/** The second time takes what finalizers of the first have let go of. */
function collectTwice(): void {
  collect?.();
  setTimeout(() => {
    collect?.();
    answer();
  }, 50);
}

function answer(): void {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const reading: Reading = {
    cpuUs: user + system,
    rssBytes: rss,
    heapBytes: heapUsed + external,
    resources,
  };
  process.send?.({ reading });
}

// The measured process ends as it would without a meter, and with the benchmark when that dies.
process.channel?.unref();
process.once('disconnect', () => process.exit());
