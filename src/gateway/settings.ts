type Given<Fields> = { [Name in keyof Fields]?: NonNullable<Fields[Name]> };

/** Only the fields that are set: null in the configuration means the default of the part, which is an absent setting. */
export function given<Fields extends object>(fields: Fields): Given<Fields> {
  const set: Partial<Record<string, unknown>> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) set[name] = value;
  }
  return set as Given<Fields>;
}
