import type { PredictionUsage } from './prediction.ts';
import type { PredictionRequest } from './prediction-request.ts';
import { StopSequences } from './stop-sequences.ts';

/** The output of a prediction in OpenAI's form: the events of a stream, or one body at the end. */
export class PredictionWriter {
  readonly #request: PredictionRequest;
  readonly #id: string;
  readonly #stops: StopSequences;
  /** For a whole response. */
  #text = '';
  #isBegun = false;

  constructor(request: PredictionRequest, id: string) {
    this.#request = request;
    this.#id = id;
    this.#stops = new StopSequences(request.stops);
  }

  /** A stop sequence was found: the rest of the output is not needed. */
  get isStopped(): boolean {
    return this.#stops.isFound;
  }

  /** More output; returns what is to be sent now, '' for nothing. */
  push(output: string): string {
    return this.#send(this.#stops.push(output));
  }

  /** The end of the output; returns what is left to be sent. */
  end(usage: PredictionUsage | null): string {
    const rest = this.#send(this.#stops.end());
    const { isStream, maxTokens } = this.#request;
    const isFull = usage !== null && maxTokens !== null && usage.completionTokens >= maxTokens;
    const finish = isFull && !this.isStopped ? 'length' : 'stop';
    if (!isStream) return JSON.stringify(this.#whole(finish, usage));
    const head = this.#isBegun ? rest : rest + this.#delta('');
    const last = event({ ...this.#facts('chunk'), choices: [this.#choice('chunk', '', finish)] });
    const cost = usage === null ? '' : event({ ...this.#facts('chunk'), choices: [], usage: costOf(usage) });
    return `${head}${last}${cost}data: [DONE]\n\n`;
  }

  /** The end of a prediction that failed: an error inside a 200, which is read as everyone's is. */
  fail(message: string): string {
    const error = JSON.stringify({ error: { message, type: 'prediction_failed' } });
    return this.#request.isStream ? `data: ${error}\n\n` : error;
  }

  #send(text: string): string {
    if (text === '') return '';
    if (this.#request.isStream) return this.#delta(text);
    this.#text += text;
    return '';
  }

  #delta(text: string): string {
    const isFirst = !this.#isBegun;
    this.#isBegun = true;
    return event({ ...this.#facts('chunk'), choices: [this.#choice('chunk', text, null, isFirst)] });
  }

  #whole(finish: string, usage: PredictionUsage | null): object {
    const cost = usage === null ? {} : { usage: costOf(usage) };
    return { ...this.#facts('whole'), choices: [this.#choice('whole', this.#text, finish)], ...cost };
  }

  #facts(form: 'chunk' | 'whole'): object {
    const chat = form === 'chunk' ? 'chat.completion.chunk' : 'chat.completion';
    const object = this.#request.endpoint === 'chat' ? chat : 'text_completion';
    return { id: this.#id, object, model: this.#request.model };
  }

  #choice(form: 'chunk' | 'whole', text: string, finish: string | null, isFirst = false): object {
    const end = { finish_reason: finish };
    if (this.#request.endpoint === 'completions') return { index: 0, text, ...end };
    if (form === 'whole') return { index: 0, message: { role: 'assistant', content: text }, ...end };
    const content = finish === null ? { content: text } : {};
    return { index: 0, delta: isFirst ? { role: 'assistant', ...content } : content, ...end };
  }
}

function costOf({ promptTokens, completionTokens }: PredictionUsage): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

function event(json: object): string {
  return `data: ${JSON.stringify(json)}\n\n`;
}
