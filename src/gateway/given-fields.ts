type Given<Fields> = { [Name in keyof Fields]?: NonNullable<Fields[Name]> };

/** Only the fields that are set: what is null in the configuration is absent in the settings of a part, which means its own default. */
export function given<Fields extends object>(fields: Fields): Given<Fields> {
  const set: Partial<Record<string, unknown>> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) set[name] = value;
  }
  return set as Given<Fields>;
}
