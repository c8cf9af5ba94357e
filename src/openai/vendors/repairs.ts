/**
 * What had to be put right in a response before clients could read it: the values of the label `repair` of
 * `tokenferry_repairs_total`. Q and S numbers are rows of docs/compatibility.md.
 */
export const REPAIRS = {
  // Bytes and events.
  charset: "The body is in another charset than UTF-8, as its content-type says (Q46: 'charset=gbk').",
  sse_missing_blank_line: 'Events follow each other without a blank line (Q17: Baseten and GLM gateways).',
  sse_missing_data_field: 'A line of JSON has no `data:` before it (Q13, Q25: pretty-printing servers).',
  sse_field_name_case: '`Data:` in place of `data:`: servers that treat the fields of events as headers.',
  sse_wrapped_field: 'A proxy put `data:` before every line, also before comments (Q8: opencode#50871).',
  stray_text:
    'Text between the events that is not an event (sizes of a body that was chunked twice, text of a proxy).',
  json_for_stream: 'A whole JSON response although a stream was requested (Q34).',
  ndjson_for_stream: 'JSON lines instead of events (Q33: Ollama), or one list that grows.',
  stream_for_json: 'A stream of events although a whole response was requested (Q35).',
  several_values_in_event:
    'Several JSON values in one event (Q15: Azure and Java gateways that merge events).',
  json_in_string: 'An event is a JSON string that holds the JSON.',
  invalid_json:
    'JSON with NaN, None, trailing commas or raw line ends (Q45: json.dumps of Python, hand-written JSON).',
  invalid_event_skipped: 'An event that is not valid JSON was skipped (Q45).',
  unknown_event_skipped: 'An event without a known meaning was skipped: pings, heartbeats (Q10, Q44).',
  done_spelling: 'The end marker is not spelled `[DONE]` (Q25).',
  done_missing: 'No `[DONE]` at the end (Q23: TGI and many others).',
  vendor_end_marker: 'An end marker of the server’s own in place of a finish reason.',
  // Contents of a chunk or a whole response.
  envelope: 'The response is wrapped into an envelope: `{"code":0,"msg":"ok","data":{…}}` (Q42).',
  member_name_style: 'Members are named in the style of Java or C#: `finishReason`, `FinishReason`.',
  choices_form: '`choices` is an object in place of a list (PHP writes lists with gaps so).',
  native_ollama: 'The native format of Ollama (Q69).',
  native_dashscope: 'The native format of DashScope (Q71).',
  native_baidu: 'The native format of Baidu ERNIE (Q70).',
  native_tgi: 'The native format of TGI `/generate_stream` (Q72).',
  misplaced_text: 'Text, message or tool calls are not in the delta of a chunk (Q67).',
  content_form: '`content` is a list of parts, an object or a number in place of a text (Q77: Mistral).',
  reasoning_name:
    'The reasoning has another name than `reasoning_content` (Q85: vLLM 0.9 and later, OpenRouter).',
  think_tags_split: 'Reasoning in `<think>` tags was split off the content, by the profile (Q88, Q89).',
  cumulative_text: 'Every delta repeats the text so far, by the profile (Q65).',
  identity_missing: '`id`, `created` or `model` is missing (Q48, Q81, Q82, Q84).',
  index_changed: 'The indexes of choices do not count from 0 (Q80).',
  finish_reason_name: 'A finish reason that OpenAI does not have (Q57 to Q61).',
  finish_reason_missing: 'The response ends without a finish reason (Q63: LocalAI).',
  finish_reason_corrected: 'The finish reason does not agree with the tool calls (Q62).',
  nulls_filled: '`logprobs` or `refusal` is missing where clients want a null (S28, S29).',
  // Tool calls.
  tool_call_form: 'Tool calls are an object or a text, or a call has no `function` member (Q108).',
  tool_call_legacy: '`function_call` although `tools` were sent (Q120).',
  tool_call_index: 'Indexes of tool calls are missing, constant, or do not count from 0 (Q108 to Q110).',
  tool_call_id_missing: 'A tool call has no id, or one of another call (Q111).',
  tool_arguments_form: 'Arguments are an object in place of a text (Q114: llama.cpp, Ollama, TGI).',
  tool_arguments_quoted: 'Arguments are a JSON string of a JSON string (Q116: koog#2095).',
  tool_arguments_missing: 'A tool call has no arguments (Q115, S76).',
  tool_arguments_repeated: 'Arguments of a tool call came twice.',
  tool_arguments_dropped: 'Arguments of a tool call came after its end and were dropped.',
  tool_calls_reordered: 'Fragments of several tool calls are interleaved (Q118).',
  tool_calls_dropped: 'Tool calls beyond the maximum were dropped.',
  // Usage.
  usage_form: 'Token counts have other names, are texts, or do not add up (Q102 to Q104).',
  usage_in_vendor_member:
    'The usage is in a member of the vendor’s own (`x_groq`, Bedrock’s metrics, llama.cpp’s timings).',
  usage_estimated: 'The response has no usage; it was estimated (Q100, S32).',
  // Embeddings and rerank.
  embeddings_format:
    'The vectors are not in `data[].embedding` (Q152, Q153: Ollama, TEI, DashScope, Cohere).',
  embeddings_order: 'The vectors are not in the order of their indexes (Q149).',
  embeddings_number_texts: 'The numbers of vectors are texts: `["0.1","-2e-3"]`.',
  rerank_format: 'The results are not in `results[].relevance_score` (Q159: Xinference, vLLM, TEI).',
  rerank_order: 'The results are not sorted by score (Q159).',
  // Lists of models.
  models_list_form: 'The list of models is not `{"data":[…]}` (Q164: Ollama, Gemini, bare arrays).',
  model_id_name: 'Models are named by another member than `id` (Q164: Ollama, Gemini’s `models/x`).',
  // Media.
  transcript_format: 'The transcript is not in `text` (Q161: Whisper servers).',
  captions_from_segments: 'Subtitles were built from segments with times (Q161).',
  speech_as_text: 'Speech comes as base64 or hexadecimal digits in JSON or text (Q162: MiniMax).',
  image_format: 'Images are not in `data[].b64_json` or `data[].url` (Q163: a data URI, base64 in `image`).',
  image_url_only: 'Images come as addresses although `b64_json` was requested (Q163).',
} as const satisfies Readonly<Record<string, string>>;

/** One kind of defect of responses that was repaired; stable, since it is the label of a metric. */
export type Repair = keyof typeof REPAIRS;

/**
 * Takes a repair that a response needed; may be called any number of times for one response. `member`: the name under which
 * the upstream has what belongs under another one.
 */
export type OnRepair = (repair: Repair, member?: string) => void;
