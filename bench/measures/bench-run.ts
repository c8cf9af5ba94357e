import { writeFile } from 'node:fs/promises';
import type { Child } from '../child.ts';
import { table } from '../report.ts';

/** What every measure of one run of the benchmark shares. */
export interface BenchRun {
  readonly upstreamOrigin: string;
  readonly load: Child;
  readonly rounds: number;
  /** 1, or less for a quick run. */
  readonly scale: number;
  readonly results: Results;
}

interface ResultTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Tables as they are measured: printed at once, kept for the file. */
export class Results {
  readonly #tables: ResultTable[] = [];

  add(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
    this.#tables.push({ title, head, rows });
    console.log(`\n${title}\n\n${table(head, rows)}`);
  }

  /** One object a row, by the titles of the columns; `facts` say what was measured and where. */
  async writeJson(file: string, facts: object): Promise<void> {
    const tables = this.#tables.map(({ title, head, rows }) => ({
      title,
      rows: rows.map((row) => Object.fromEntries(head.map((name, column) => [name || 'case', row[column]]))),
    }));
    await writeFile(file, `${JSON.stringify({ ...facts, tables }, null, 2)}\n`);
  }
}
