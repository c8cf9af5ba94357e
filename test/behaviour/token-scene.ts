import { Gateway } from '../helpers/gateway.ts';
import { ScriptedIssuer, type ScriptedIssuerOptions } from '../helpers/scripted-issuer.ts';
import { StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';
import { LIMITS } from './fault-rig.ts';

export interface TokenScene {
  readonly gateway: Gateway;
  readonly issuer: ScriptedIssuer;
  readonly model: StandInModel;
}

export interface TokenSceneOptions {
  readonly issuer?: ScriptedIssuerOptions;
  readonly model?: (issuer: ScriptedIssuer) => StandInOptions;
  /** Of the token source. */
  readonly source?: object;
  /** Of the whole configuration. */
  readonly config?: object;
}

/** A gateway before one upstream that accepts what its issuer says is alive. */
export async function withTokens(
  options: TokenSceneOptions,
  use: (scene: TokenScene) => Promise<void>,
): Promise<void> {
  await using issuer = await ScriptedIssuer.start(options.issuer);
  await using model = await StandInModel.start({
    reply: 'all is well',
    isLive: (token) => issuer.isLive(token),
    ...options.model?.(issuer),
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    ...options.config,
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '2s' }, ...options.source } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  await use({ gateway, issuer, model });
}
