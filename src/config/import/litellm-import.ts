import type { FileMapping } from '../types/scalar.ts';
import { Draft } from './draft.ts';
import { ForeignSection, literal } from './foreign-section.ts';
import { OTHER_APIS, PROVIDERS } from './litellm-providers.ts';

/** The first comment of the file. */
export const LITELLM_HEAD = `From a configuration of LiteLLM. \`tokenferry check\` tests this file. Comments name what was not taken over.
Keys that LiteLLM keeps in its database (virtual keys, teams, budgets) are not in its file: make \`clients\` for them.`;

/** True for a configuration of LiteLLM's proxy. */
export function isLitellmFile(root: FileMapping): boolean {
  return ['model_list', 'litellm_settings', 'general_settings', 'router_settings'].some((key) => key in root);
}

/** One of our upstreams while its deployments are collected. */
interface Group {
  readonly facts: Record<string, unknown>;
  readonly models: Record<string, string>;
  readonly allow: string[];
  readonly notes: string[];
}

type Value = ConstructorParameters<typeof ForeignSection>[0];

/** `config.yaml` of LiteLLM's proxy as a configuration of ours. */
export function importLitellmFile(root: FileMapping): Draft {
  return new LitellmImport(root).run();
}

class LitellmImport {
  readonly #file: ForeignSection;
  readonly #draft = new Draft();
  readonly #groups: Group[] = [];
  /** Group by the facts that its deployments share. */
  readonly #byFacts = new Map<string, Group[]>();

  constructor(root: FileMapping) {
    this.#file = new ForeignSection(root);
  }

  run(): Draft {
    const draft = this.#draft;
    const general = this.#file.section('general_settings');
    const settings = this.#file.section('litellm_settings');
    const router = this.#file.section('router_settings');
    for (const [index, one] of this.#file.list('model_list').entries()) this.#addDeployment(one, index);
    this.#addAliases(router);
    const key = general.text('master_key');
    draft.set('authorization', key === null ? null : valueFrom(key));
    if (key === null)
      draft.note(
        [],
        'There was no general_settings.master_key: set `authorization`, or only this machine is served.',
      );
    this.#limits(settings, router);
    this.#database(general);
    draft.set('upstreams', this.#groups.map(upstreamOf));
    for (const [index, { notes }] of this.#groups.entries())
      for (const text of notes) draft.note(['upstreams', index], text);
    this.#rest('general_settings', general);
    this.#rest('litellm_settings', settings);
    this.#rest('router_settings', router);
    this.#environment();
    for (const name of this.#file.unread) draft.note([], `Not taken over: ${name}.`);
    return draft;
  }

  #addDeployment(value: Value, index: number): void {
    const entry = new ForeignSection(value);
    const params = entry.section('litellm_params');
    const name = entry.text('model_name') ?? '';
    const target = params.text('model') ?? '';
    const where = `model_list[${index}] (${name || target || 'without a name'})`;
    entry.section('model_info');
    const slash = target.indexOf('/');
    const prefix = slash === -1 ? '' : target.slice(0, slash);
    if (name === '' || target === '') {
      this.#draft.note([], `Not taken over: ${where}: it lacks model_name or litellm_params.model.`);
      return;
    }
    const isOther = OTHER_APIS.has(prefix);
    const provider = isOther
      ? undefined
      : PROVIDERS[prefix === '' ? (params.text('custom_llm_provider') ?? 'openai') : prefix];
    // An unknown part before the slash is part of the name: a model of an endpoint that api_base names.
    const isNamed = provider !== undefined && prefix !== '';
    const used = provider ?? (params.has('api_base') && !isOther ? PROVIDERS.custom_openai : undefined);
    if (used === undefined) {
      this.#draft.note([], `Not taken over: ${where}: ${prefix || target} has an API that is not OpenAI's.`);
      return;
    }
    const base = params.text('api_base') ?? params.text('base_url');
    const endpoint = base === null ? used.endpoint : `${trimmed(base)}${suffixOf(base, used.suffix)}`;
    if (endpoint === null) {
      this.#draft.note([], `Not taken over: ${where}: it has no api_base.`);
      return;
    }
    const key =
      params.text('api_key') ?? (used.keyVariable === null ? null : `os.environ/${used.keyVariable}`);
    const facts: Record<string, unknown> = used.isReplicate === true ? { type: 'replicate' } : {};
    facts.endpoint = endpoint.startsWith('os.environ/') ? valueFrom(endpoint) : literal(endpoint);
    const headers = Object.fromEntries(
      params
        .section('extra_headers')
        .entries()
        .map(([header, text]) => [header, valueFrom(text)]),
    );
    if (used.isAzure === true) {
      facts.token = 'none';
      if (key !== null) headers['api-key'] = valueFrom(key);
      facts.query = { 'api-version': valueFrom(params.text('api_version') ?? '2024-10-21') };
      facts.paths = {
        chat: '/openai/deployments/{model}/chat/completions',
        completions: '/openai/deployments/{model}/completions',
        embeddings: '/openai/deployments/{model}/embeddings',
      };
    } else if (key === null || /^(?:none|empty|fake.*|anything)$/i.test(key)) facts.token = 'none';
    else facts.sk = valueFrom(key);
    const organization = params.text('organization');
    if (organization !== null) headers['openai-organization'] = valueFrom(organization);
    if (Object.keys(headers).length > 0) facts.headers = headers;
    for (const limit of ['timeout', 'stream_timeout'] as const) {
      const seconds = params.number(limit);
      if (seconds !== null) facts[limit] = seconds;
    }
    const [rpm, tpm] = [params.number('rpm'), params.number('tpm')];
    if (rpm !== null || tpm !== null)
      facts.pace = { ...(rpm === null ? {} : { rpm }), ...(tpm === null ? {} : { tpm }) };
    const concurrency = params.number('max_parallel_requests');
    if (concurrency !== null) facts.max_concurrency = concurrency;
    const drops = params.texts('additional_drop_params');
    if (drops.length > 0) facts.profile = { drop_params: drops };
    const group = this.#groupFor(facts, name);
    this.#addModel(group, name, isNamed ? target.slice(slash + 1) : target);
    for (const left of [...params.unread.map((one) => `litellm_params.${one}`), ...entry.unread])
      group.notes.push(`Not taken over: ${left} of ${name}.`);
  }

  /** Deployments of one model at one place are several upstreams, as they are for LiteLLM. */
  #groupFor(facts: Record<string, unknown>, name: string): Group {
    const key = JSON.stringify(facts);
    const groups = this.#byFacts.get(key) ?? [];
    const free = groups.find(({ allow }) => !allow.includes(name));
    if (free !== undefined) return free;
    const group: Group = { facts, models: {}, allow: [], notes: [] };
    this.#byFacts.set(key, [...groups, group]);
    this.#groups.push(group);
    return group;
  }

  #addModel(group: Group, name: string, model: string): void {
    group.allow.push(name);
    if (name.includes('*') && model.includes('*')) {
      if (name !== '*' && name !== model)
        group.notes.push(`${name}: models are sent under the name that the client uses, not as ${model}.`);
      return;
    }
    if (name !== model) group.models[name] = model;
  }

  #addAliases(router: ForeignSection): void {
    const aliases = router.section('model_group_alias');
    for (const alias of aliases.keys) {
      const target = aliases.text(alias) ?? aliases.section(alias).text('model') ?? '';
      const groups = this.#groups.filter(({ allow }) => allow.includes(target));
      for (const group of groups) this.#addModel(group, alias, group.models[target] ?? target);
      if (groups.length === 0)
        this.#draft.note(
          [],
          `Not taken over: router_settings.model_group_alias.${alias}: no model ${target}.`,
        );
    }
  }

  #limits(settings: ForeignSection, router: ForeignSection): void {
    const draft = this.#draft;
    draft.set('timeout', settings.number('request_timeout') ?? router.number('timeout'));
    draft.set('stream_timeout', router.number('stream_timeout'));
    const retries = settings.number('num_retries') ?? router.number('num_retries');
    if (retries !== null)
      draft.set('retry', { same_upstream: Math.min(10, Math.max(0, Math.round(retries))) });
    const failures = settings.number('allowed_fails') ?? router.number('allowed_fails');
    const pause = settings.number('cooldown_time') ?? router.number('cooldown_time');
    if (failures !== null || pause !== null)
      draft.set('cool_down', {
        ...(failures === null ? {} : { failures: Math.max(1, Math.round(failures)) }),
        ...(pause === null || pause <= 0 ? {} : { first: pause, max: Math.max(60, pause) }),
      });
    if (settings.flag('drop_params'))
      draft.note(
        [],
        'litellm_settings.drop_params: parameters that an upstream refuses are left out here in any case.',
      );
    const strategy = router.text('routing_strategy') ?? 'simple-shuffle';
    const policy = POLICIES[strategy];
    draft.set('lb_policy', policy ?? 'random');
    if (policy === undefined)
      draft.note(['lb_policy'], `Not taken over: router_settings.routing_strategy: ${strategy}.`);
    for (const name of [
      'fallbacks',
      'context_window_fallbacks',
      'default_fallbacks',
      'content_policy_fallbacks',
    ]) {
      if (settings.list(name).length + router.list(name).length === 0) continue;
      draft.note(
        ['upstreams'],
        `Not taken over: ${name}. Another model is not sent in its place unless an upstream has it as an alias (\`models\`).`,
      );
    }
  }

  #database(general: ForeignSection): void {
    const address = general.text('database_url');
    if (address === null) return;
    this.#draft.set('dbtype', 'postgres');
    this.#draft.set('dbaddr', valueFrom(address));
    this.#draft.note(
      ['dbtype'],
      'Records get a table of their own there; what LiteLLM has in its database (keys, spend) is not taken over.',
    );
  }

  #rest(name: string, section: ForeignSection): void {
    for (const key of section.unread) this.#draft.note([], `Not taken over: ${name}.${key}.`);
  }

  #environment(): void {
    const names = this.#file.section('environment_variables').keys;
    if (names.length > 0)
      this.#draft.note([], `Set in the environment, or in a .env beside this file: ${names.join(', ')}.`);
  }
}

const POLICIES: Readonly<Record<string, 'order' | 'random' | 'least_busy'>> = {
  'simple-shuffle': 'random',
  'least-busy': 'least_busy',
};

function upstreamOf({ facts, models, allow }: Group): Record<string, unknown> {
  const isOpen = allow.includes('*');
  return {
    ...facts,
    ...(isOpen ? {} : { allow }),
    ...(Object.keys(models).length === 0 ? {} : { models }),
  };
}

/** LiteLLM's `os.environ/NAME` is our `${NAME}`. */
function valueFrom(text: string): string {
  const name = /^os\.environ\/(\w+)$/.exec(text)?.[1];
  return name === undefined ? literal(text) : `\${${name}}`;
}

function trimmed(base: string): string {
  return base.replace(/\/+$/, '');
}

function suffixOf(base: string, suffix: string | undefined): string {
  return suffix === undefined || trimmed(base).endsWith(suffix) || base.startsWith('os.environ/')
    ? ''
    : suffix;
}
