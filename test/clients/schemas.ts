/**
 * What OpenAI's published description of its API requires of the replies that this gateway makes: the required
 * members, their types and their closed sets. Written down by hand from CreateChatCompletionResponse,
 * CreateChatCompletionStreamResponse, CreateCompletionResponse, CreateEmbeddingResponse, ListModelsResponse and
 * ErrorResponse; members that are not named here may be there, as in the description.
 */
import { z } from 'zod/v4';

const unixTime = z.int().positive();
const count = z.int().nonnegative();

const finish = z.enum(['stop', 'length', 'tool_calls', 'content_filter', 'function_call']);

const usage = z.looseObject({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.looseObject({ cached_tokens: count.optional() }).optional(),
  completion_tokens_details: z.looseObject({ reasoning_tokens: count.optional() }).optional(),
});

const tokenLogprob = z.looseObject({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).nullable(),
  top_logprobs: z.array(z.looseObject({ token: z.string(), logprob: z.number() })),
});

const logprobs = z
  .looseObject({
    content: z.array(tokenLogprob).nullable(),
    refusal: z.array(tokenLogprob).nullable(),
  })
  .nullable();

const functionCall = z.looseObject({ name: z.string(), arguments: z.string() });

const toolCall = z.looseObject({
  id: z.string().min(1),
  type: z.literal('function'),
  function: functionCall,
});

const message = z.looseObject({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  refusal: z.string().nullable(),
  tool_calls: z.array(toolCall).min(1).optional(),
  function_call: functionCall.optional(),
});

export const chatCompletion = z.looseObject({
  id: z.string().min(1),
  object: z.literal('chat.completion'),
  created: unixTime,
  model: z.string(),
  choices: z.array(z.looseObject({ index: count, finish_reason: finish, message, logprobs })).min(1),
  usage: usage.optional(),
});

const delta = z.looseObject({
  role: z.enum(['developer', 'system', 'user', 'assistant', 'tool']).optional(),
  content: z.string().nullable().optional(),
  refusal: z.string().nullable().optional(),
  tool_calls: z
    .array(
      z.looseObject({
        index: count,
        id: z.string().optional(),
        type: z.literal('function').optional(),
        function: z.looseObject({ name: z.string().optional(), arguments: z.string().optional() }).optional(),
      }),
    )
    .optional(),
  function_call: z.looseObject({ name: z.string().optional(), arguments: z.string().optional() }).optional(),
});

export const chatCompletionChunk = z.looseObject({
  id: z.string().min(1),
  object: z.literal('chat.completion.chunk'),
  created: unixTime,
  model: z.string(),
  choices: z.array(
    z.looseObject({ index: count, delta, finish_reason: finish.nullable(), logprobs: logprobs.optional() }),
  ),
  usage: usage.nullable().optional(),
});

export const completion = z.looseObject({
  id: z.string().min(1),
  object: z.literal('text_completion'),
  created: unixTime,
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: count,
      text: z.string(),
      logprobs: z.looseObject({}).nullable(),
      finish_reason: z.enum(['stop', 'length', 'content_filter']),
    }),
  ),
  usage: usage.optional(),
});

/** The description knows only lists of floats; base64 is what its own clients ask for. */
export const embeddings = z.looseObject({
  object: z.literal('list'),
  model: z.string(),
  data: z.array(
    z.looseObject({
      object: z.literal('embedding'),
      index: count,
      embedding: z.union([z.array(z.number()).min(1), z.base64()]),
    }),
  ),
  usage: z.looseObject({ prompt_tokens: count, total_tokens: count }),
});

export const modelList = z.looseObject({
  object: z.literal('list'),
  data: z.array(
    z.looseObject({
      id: z.string().min(1),
      object: z.literal('model'),
      created: z.int().nonnegative(),
      owned_by: z.string(),
    }),
  ),
});

/** Nothing beside `error`, and in it all four members and no other (S81). */
export const errorBody = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
