/** A message of a chat; content that is no text was refused before. */
export interface PromptMessage {
  readonly role: string;
  readonly content: string;
}

/** What a model on Replicate gets in place of messages: these members of `input`. */
export interface Prompt {
  readonly prompt: string;
  readonly system_prompt?: string;
  /** `{prompt}`: the prompt is complete, so the model must not wrap it into its own template. */
  readonly prompt_template?: string;
}

/** How the models of one family are asked. */
interface ModelFamily {
  /** Matches the model's name in lower case. */
  readonly names: RegExp;
  readonly render: (messages: readonly PromptMessage[]) => Prompt;
  /** The members of `input` that limit the length of the output. */
  readonly limitNames: readonly string[];
  /** The limit when the client sets none; null: the model's own. */
  readonly defaultLimit: number | null;
  /** Where it is documented. */
  readonly source: string;
}

/** The form of openai-api-route, which is also the default: it sent it to every model. */
const INSTRUCTION: ModelFamily = {
  names: /mistral|mixtral|llama-2|codellama/,
  render: instructionPrompt,
  limitNames: ['max_new_tokens', 'max_tokens'],
  defaultLimit: 1024,
  source: 'openai-api-route, replicate.go before 2024-06-28 (commit e802f3f removed it)',
};

/** The most specific first. */
const FAMILIES: readonly ModelFamily[] = [
  {
    names: /llama-3/,
    render: llama3Prompt,
    limitNames: ['max_tokens'],
    defaultLimit: null,
    source:
      'replicate.com/meta/meta-llama-3-70b-instruct, input schema and default prompt_template (2024-04)',
  },
  {
    names: /^(?:openai|anthropic|google|deepseek-ai|xai)\//,
    render: plainPrompt,
    limitNames: ['max_tokens', 'max_completion_tokens', 'max_output_tokens'],
    defaultLimit: null,
    source:
      'replicate.com/openai/gpt-4o, anthropic/claude-3.7-sonnet, input schemas (2025): prompt and system_prompt',
  },
  INSTRUCTION,
];

/** The family of a model; one that no row knows is asked as openai-api-route asked it. */
export function familyOf(model: string): ModelFamily {
  const name = model.toLowerCase();
  return FAMILIES.find(({ names }) => names.test(name)) ?? INSTRUCTION;
}

type Speaker = 'system' | 'user' | 'assistant';

/** Unknown roles and results of tools are the user's, as there is no other place for them. */
function speakerOf(role: string): Speaker {
  if (role === 'system' || role === 'developer') return 'system';
  return role === 'assistant' ? 'assistant' : 'user';
}

/** `<s> [INST] question [/INST] response </s>` for each turn; a system prompt stands before the next question. */
function instructionPrompt(messages: readonly PromptMessage[]): Prompt {
  let prompt = '';
  let system = '';
  let user = '';
  for (const { role, content } of messages) {
    const speaker = speakerOf(role);
    if (speaker === 'system') system = joined(system, content);
    else if (speaker === 'user') {
      user = joined(system, joined(user, content));
      system = '';
    } else {
      const question = joined(system, user);
      system = '';
      user = '';
      const turn = question === '' ? `<s> ${content} </s>` : `<s> [INST] ${question} [/INST] ${content} </s>`;
      prompt = joined(prompt, turn);
    }
  }
  const question = joined(system, user);
  if (question !== '') prompt += `<s> [INST] ${question} [/INST] `;
  return { prompt, prompt_template: '{prompt}' };
}

function llama3Prompt(messages: readonly PromptMessage[]): Prompt {
  const turns = messages.map(
    ({ role, content }) => `<|start_header_id|>${speakerOf(role)}<|end_header_id|>\n\n${content}<|eot_id|>`,
  );
  const prompt = `<|begin_of_text|>${turns.join('')}<|start_header_id|>assistant<|end_header_id|>\n\n`;
  return { prompt, prompt_template: '{prompt}' };
}

/** These models wrap the prompt themselves: one question as it is, a conversation as a transcript. */
function plainPrompt(messages: readonly PromptMessage[]): Prompt {
  const isSystem = ({ role }: PromptMessage): boolean => speakerOf(role) === 'system';
  const system = messages
    .filter(isSystem)
    .map(({ content }) => content)
    .join('\n');
  const turns = messages.filter((message) => !isSystem(message));
  const [only] = turns;
  const prompt =
    turns.length === 1 && only !== undefined && speakerOf(only.role) === 'user'
      ? only.content
      : [...turns.map(({ role, content }) => `${LABELS[speakerOf(role)]}: ${content}`), 'Assistant:'].join(
          '\n\n',
        );
  return system === '' ? { prompt } : { prompt, system_prompt: system };
}

const LABELS: Readonly<Record<Speaker, string>> = { system: 'System', user: 'User', assistant: 'Assistant' };

function joined(first: string, second: string): string {
  return first === '' || second === '' ? first + second : `${first}\n${second}`;
}
