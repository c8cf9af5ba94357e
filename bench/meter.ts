/**
 * Preloaded (`--import`) into the process that is measured: answers `meter` on the IPC channel with what the whole
 * process has used, worker threads included (getrusage). Needs `--expose-gc`.
 */
export interface Reading {
  /** User and system time since the start. Microseconds. */
  readonly cpuUs: number;
  /** After a full collection. Bytes. */
  readonly rssBytes: number;
  readonly heapBytes: number;
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
  const reading: Reading = { cpuUs: user + system, rssBytes: rss, heapBytes: heapUsed + external };
  process.send?.({ reading });
}

// The measured process ends as it would without a meter, and with the benchmark when that dies.
process.channel?.unref();
process.once('disconnect', () => process.exit());
