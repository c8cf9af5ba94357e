import { boundaryOf } from './boundary.ts';
import { ambiguousForm } from './form-error.ts';
import { FormDivider, type FormPart } from './part-splitter.ts';

/** A field of a form that is no file: where its value stands in the bytes; the end is exclusive. */
export interface FormField {
  readonly name: string;
  readonly valueStart: number;
  readonly valueEnd: number;
}

interface ReadForm {
  /** The fields (not the files) that stand whole in the bytes. */
  readonly fields: readonly FormField[];
  /** Takes what comes behind the bytes. Throws `invalid_request` for a second model in it. */
  readonly follow: (piece: Buffer) => void;
}

/**
 * Reads `bytes`, the beginning of a form or, when `isWhole`, all of it. Throws `invalid_request` for what two readers
 * could divide in different ways, and for more than one part that could be the model.
 */
export function readForm(bytes: Buffer, contentType: string, isWhole: boolean): ReadForm {
  const boundary = boundaryOf(contentType);
  if (boundary === null) return { fields: [], follow: () => undefined };
  const divider = new FormDivider(boundary);
  divider.push(bytes, isWhole);
  refuseSecondModel(divider.parts);
  const fields = divider.parts.flatMap(fieldOf);
  const isNamed = fields.some(({ name }) => name === 'model');
  if (isWhole && !isNamed && divider.parts.some(isModelField))
    throw ambiguousForm('the part "model" has no end', 'model');
  return {
    fields,
    follow: (piece) => {
      // Without a model in its beginning a form goes by its path, whatever comes later.
      if (!isNamed) return;
      divider.push(piece);
      refuseSecondModel(divider.parts);
    },
  };
}

function fieldOf({ name, isFile, valueStart, valueEnd }: FormPart): FormField[] {
  return name === null || isFile || valueEnd === null ? [] : [{ name, valueStart, valueEnd }];
}

function isModelField({ name, isFile }: FormPart): boolean {
  return name === 'model' && !isFile;
}

/** A file called `model` is one of them for readers that go by the name alone. */
function refuseSecondModel(parts: readonly FormPart[]): void {
  const models = parts.filter(({ name }) => name === 'model');
  if (models.length > 1 && models.some(isModelField)) throw ambiguousForm('it has "model" twice', 'model');
}
