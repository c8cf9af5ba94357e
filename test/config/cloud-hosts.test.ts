import assert from 'node:assert/strict';
import { test } from 'node:test';
import { awsScopeOf, tencentServiceOf } from '../../src/config/cloud-hosts.ts';

test('a host of AWS names its region and its signing name', () => {
  for (const [host, region, service] of [
    ['bedrock-runtime.us-east-1.amazonaws.com', 'us-east-1', 'bedrock'],
    ['bedrock-runtime-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1', 'bedrock'],
    ['runtime.sagemaker.eu-central-1.amazonaws.com', 'eu-central-1', 'sagemaker'],
    ['a1b2c3.execute-api.ap-southeast-2.amazonaws.com', 'ap-southeast-2', 'execute-api'],
    ['vpce-0a1b-cd.bedrock-runtime.us-west-2.vpce.amazonaws.com', 'us-west-2', 'bedrock'],
    ['bedrock-runtime.cn-north-1.amazonaws.com.cn', 'cn-north-1', 'bedrock'],
    ['abc123.lambda-url.us-east-2.on.aws', 'us-east-2', 'lambda'],
    ['sts.us-east-1.amazonaws.com', 'us-east-1', 'sts'],
  ] as const) {
    assert.deepEqual(awsScopeOf(host), { region, service }, host);
  }
  for (const host of ['llm.corp.example', 'amazonaws.com', 'bedrock.us-east-1.amazonaws.com.evil.example'])
    assert.equal(awsScopeOf(host), null, host);
});

test('a host of Tencent Cloud names its service, with a region in it too', () => {
  assert.equal(tencentServiceOf('hunyuan.tencentcloudapi.com'), 'hunyuan');
  assert.equal(tencentServiceOf('cvm.ap-guangzhou.tencentcloudapi.com'), 'cvm');
  assert.equal(tencentServiceOf('tencentcloudapi.com.example'), null);
});
