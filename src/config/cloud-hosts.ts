/** What a signature of AWS is valid for. */
interface AwsScope {
  readonly region: string;
  /** The signing name: `bedrock`, `sagemaker`, `execute-api`. */
  readonly service: string;
}

/** Signing names that are not the first label of the host. */
const SERVICE_OF_LABEL: Readonly<Record<string, string>> = {
  'bedrock-runtime': 'bedrock',
  'bedrock-runtime-fips': 'bedrock',
  'bedrock-agent-runtime': 'bedrock',
  'bedrock-mantle': 'bedrock',
  'lambda-url': 'lambda',
  'runtime.sagemaker': 'sagemaker',
};

/** `SERVICE.REGION.amazonaws.com` and its forms with an id before it, of VPC endpoints, of China and of function URLs. */
const AWS_HOST =
  /(?:^|\.)((?:runtime\.)?[a-z0-9-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|on\.aws|api\.aws)$/;

/** The region and the service that a host of AWS names; null for any other. */
export function awsScopeOf(host: string): AwsScope | null {
  const [, label = '', region = ''] = AWS_HOST.exec(host.toLowerCase()) ?? [];
  if (label === '') return null;
  return { region, service: SERVICE_OF_LABEL[label] ?? label.replace(/^runtime\./, '') };
}

/** The service that a host of Tencent Cloud names; null for any other. */
export function tencentServiceOf(host: string): string | null {
  return /^([a-z0-9-]+)(?:\.[a-z0-9-]+)*\.tencentcloudapi\.com$/.exec(host.toLowerCase())?.[1] ?? null;
}
