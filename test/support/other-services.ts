/**
 * Services beside the local one, on which the contracts of the ports are run too: a complete S3 (moto's server, for
 * example), an SQS (ElasticMQ). Given by their endpoints.
 */
export const otherS3 = process.env['SLUICE_S3_ENDPOINT'];
export const otherSqs = process.env['SLUICE_SQS_ENDPOINT'];
