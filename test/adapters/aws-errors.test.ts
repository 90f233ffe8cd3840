import { describe, expect, it } from 'vitest';
import { awsError } from '#adapters/aws-errors.ts';

const call = { resource: 's3://photos/a.jpg', action: 's3:GetObject' };

describe('an error of AWS', () => {
  it.each([
    [{ name: 'NoSuchKey' }, 'object-missing', false],
    [{ name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }, 'object-forbidden', false],
    [{ name: 'NoSuchBucket', $metadata: { httpStatusCode: 404 } }, 'service-misconfigured', false],
    [{ name: 'PermanentRedirect', $metadata: { httpStatusCode: 301 } }, 'service-misconfigured', false],
    [{ name: 'ExpiredToken', $metadata: { httpStatusCode: 400 } }, 'credentials-invalid', false],
    [{ name: 'CredentialsProviderError' }, 'credentials-invalid', false],
    [{ name: 'SlowDown', $metadata: { httpStatusCode: 503 } }, 'store-unavailable', true],
    [{ name: 'ECONNRESET' }, 'store-unavailable', true],
  ])('%o is told as %s', (shape, code, retryable) => {
    const error = awsError(Object.assign(new Error('x'), shape), call, 'store-unavailable');
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toContain('s3://photos/a.jpg');
  });

  it('names the missing permission, and the region where the bucket is', () => {
    const denied = awsError({ name: 'AccessDenied' }, call, 'store-unavailable');
    expect(denied.message).toMatch(/s3:GetObject/);
    const redirect = {
      name: 'PermanentRedirect',
      $response: { headers: { 'x-amz-bucket-region': 'eu-west-1' } },
    };
    expect(awsError(redirect, call, 'store-unavailable').message).toMatch(/eu-west-1/);
  });

  it('does not carry the HTTP exchange along', () => {
    const cause = Object.assign(new Error('x'), { name: 'SlowDown', $response: { body: 'all of it' } });
    expect(awsError(cause, call, 'store-unavailable').cause).not.toHaveProperty('$response');
  });
});
