import type { JsonObject } from '../../lib/json/json-object.ts';

/** What a chat has to be told of a tool that Anthropic's own models know by its type. */
interface ToolFacts {
  readonly description: string;
  readonly input_schema: JsonObject;
}

/** Tools of Anthropic's that the client runs itself, so that any model can call them once it has their schema. */
interface ClientTool {
  readonly type: RegExp;
  readonly factsOf: (tool: JsonObject) => ToolFacts;
  /** Where names and types of its input are recorded. */
  readonly source: string;
}

const text = (description: string): JsonObject => ({ type: 'string', description });
const integer = (description: string): JsonObject => ({ type: 'integer', description });
const oneOf = (values: readonly string[], description: string): JsonObject => ({
  type: 'string',
  enum: values,
  description,
});
const integers = (count: number, description: string): JsonObject => ({
  type: 'array',
  items: { type: 'integer' },
  minItems: count,
  maxItems: count,
  description,
});
const object = (properties: JsonObject, required: readonly string[]): JsonObject => ({
  type: 'object',
  properties,
  // An empty list is invalid in JSON Schema's draft 4, by which some upstreams check.
  ...(required.length > 0 && { required }),
});

const EDITOR_COMMANDS = ['view', 'create', 'str_replace', 'insert'];

/** `inserted`: the member of `insert` with its text. */
function editor(
  { max_characters: most }: JsonObject,
  commands: readonly string[],
  inserted: 'new_str' | 'insert_text',
): ToolFacts {
  const limit = typeof most === 'number' ? ` view shows at most ${most} characters of a file.` : '';
  return {
    description: `Views, creates and edits files of the user. str_replace replaces one text, which must be unique in the file and the same with all its white space; insert adds text behind a line. Paths are absolute.${limit}`,
    input_schema: object(
      {
        command: oneOf(commands, 'What to do.'),
        path: text('The file, or for view also a folder.'),
        view_range: integers(2, 'view of a file: the first and the last line, from 1; -1 is the end.'),
        file_text: text('create: the content of the file.'),
        old_str: text('str_replace: the text to replace.'),
        new_str: text(
          inserted === 'new_str'
            ? 'str_replace: the new text, empty to delete. insert: the text to insert.'
            : 'str_replace: the new text, empty to delete.',
        ),
        insert_line: integer('insert: the line behind which the text is inserted; 0 is the beginning.'),
        ...(inserted === 'insert_text' && { insert_text: text('insert: the text to insert.') }),
      },
      ['command', 'path'],
    ),
  };
}

const FIRST_ACTIONS = [
  'key',
  'type',
  'mouse_move',
  'left_click',
  'left_click_drag',
  'right_click',
  'middle_click',
  'double_click',
  'screenshot',
  'cursor_position',
];
const ACTIONS = [
  ...FIRST_ACTIONS,
  'left_mouse_down',
  'left_mouse_up',
  'triple_click',
  'scroll',
  'hold_key',
  'wait',
];

function computer(tool: JsonObject, actions: readonly string[]): ToolFacts {
  const { display_width_px: width, display_height_px: height } = tool;
  const display =
    typeof width === 'number' && typeof height === 'number'
      ? ` The screen is ${width} pixels wide and ${height} high.`
      : '';
  return {
    description: `Looks at the screen of a computer and uses its mouse and keyboard. Take a screenshot to see the effect of an action.${display}`,
    input_schema: object(
      {
        action: oneOf(actions, 'What to do.'),
        coordinate: integers(
          2,
          'x and y in pixels from the upper left corner: where to click, scroll or move.',
        ),
        text: text('type: the text. key and hold_key: the keys in the form of xdotool, such as ctrl+s.'),
        ...(actions.includes('scroll') && {
          start_coordinate: integers(2, 'left_click_drag: where the drag starts.'),
          scroll_direction: oneOf(['up', 'down', 'left', 'right'], 'scroll: the direction.'),
          scroll_amount: integer('scroll: the number of clicks of the wheel.'),
          duration: { type: 'number', description: 'wait and hold_key: seconds.' },
        }),
        ...(actions.includes('zoom') && {
          region: integers(4, 'zoom: x and y of the upper left and of the lower right corner.'),
        }),
      },
      ['action'],
    ),
  };
}

/** The first row that fits; a version newer than these is taken to have the input of the last one. */
const CLIENT_TOOLS: readonly ClientTool[] = [
  {
    type: /^bash_\d{8}$/,
    factsOf: () => ({
      description:
        'Runs a command in a bash session that lasts for the whole conversation, and gives back what it prints.',
      input_schema: object(
        {
          command: text('The command. Required unless restart is true.'),
          restart: { type: 'boolean', description: 'true: starts the session anew and runs nothing.' },
        },
        [],
      ),
    }),
    source: '@ai-sdk/anthropic 3.0.58, bash_20241022 and bash_20250124',
  },
  {
    type: /^text_editor_(?:20241022|20250124)$/,
    factsOf: (tool) => editor(tool, [...EDITOR_COMMANDS, 'undo_edit'], 'new_str'),
    source: 'anthropic-quickstarts, computer-use-demo, EditTool20250124',
  },
  {
    type: /^text_editor_20250429$/,
    factsOf: (tool) => editor(tool, EDITOR_COMMANDS, 'new_str'),
    source: 'anthropic-quickstarts, computer-use-demo, EditTool20250429',
  },
  {
    type: /^text_editor_\d{8}$/,
    factsOf: (tool) => editor(tool, EDITOR_COMMANDS, 'insert_text'),
    source: 'text_editor_20250728: anthropic-sdk-python#1155, @ai-sdk/anthropic 3.0.58',
  },
  {
    type: /^memory_\d{8}$/,
    factsOf: () => ({
      description:
        'Keeps files below /memories between conversations. View the folder before you begin, and write down there what will be needed later.',
      input_schema: object(
        {
          command: oneOf(['view', 'create', 'str_replace', 'insert', 'delete', 'rename'], 'What to do.'),
          path: text('The file or folder, below /memories. All commands but rename.'),
          view_range: integers(2, 'view of a file: the first and the last line, from 1; -1 is the end.'),
          file_text: text('create: the content of the file.'),
          old_str: text('str_replace: the text to replace.'),
          new_str: text('str_replace: the new text.'),
          insert_line: integer('insert: the line behind which the text is inserted; 0 is the beginning.'),
          insert_text: text('insert: the text to insert.'),
          old_path: text('rename: the file or folder.'),
          new_path: text('rename: its new path.'),
        },
        ['command'],
      ),
    }),
    source: 'memory_20250818: @ai-sdk/anthropic 3.0.58',
  },
  {
    type: /^computer_20241022$/,
    factsOf: (tool) => computer(tool, FIRST_ACTIONS),
    source: '@ai-sdk/anthropic 3.0.58, computer_20241022',
  },
  {
    type: /^computer_\d{8}$/,
    factsOf: (tool) => computer(tool, tool.enable_zoom === true ? [...ACTIONS, 'zoom'] : ACTIONS),
    source: 'computer_20250124, computer_20251124: @ai-sdk/anthropic 3.0.58',
  },
];

/** A typed tool as its client would define it if it were its own; null: Anthropic's service runs it, or it is not known. */
export function clientToolOf(tool: JsonObject): ToolFacts | null {
  const { type } = tool;
  if (typeof type !== 'string') return null;
  return CLIENT_TOOLS.find((row) => row.type.test(type))?.factsOf(tool) ?? null;
}
