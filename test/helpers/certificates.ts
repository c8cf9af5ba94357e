import { generate } from 'selfsigned';

/** An authority made for one test, and what it has signed. All PEM. */
export interface Certificates {
  readonly ca: string;
  /** For `localhost`. */
  readonly server: { readonly cert: string; readonly key: string };
  /** Its common name is `llm-app`. */
  readonly client: { readonly cert: string; readonly key: string };
  /** Another pair of the same authority. */
  sign(commonName: string): Promise<{ cert: string; key: string }>;
}

const CURVE = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

/** Makes an authority, a server's certificate for `localhost` and a client's certificate. */
export async function makeCertificates(): Promise<Certificates> {
  const authority = await generate([{ name: 'commonName', value: 'test authority' }], {
    ...CURVE,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true },
    ],
  });
  const signed = (commonName: string) =>
    generate([{ name: 'commonName', value: commonName }], {
      ...CURVE,
      ca: { key: authority.private, cert: authority.cert },
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'subjectAltName', altNames: [{ type: 2, value: commonName }] },
      ],
    });
  const [server, client] = await Promise.all([signed('localhost'), signed('llm-app')]);
  return {
    ca: authority.cert,
    server: { cert: server.cert, key: server.private },
    client: { cert: client.cert, key: client.private },
    sign: async (commonName) => {
      const pair = await signed(commonName);
      return { cert: pair.cert, key: pair.private };
    },
  };
}
