import type { Config } from '../config.ts'

/** A blob store, for the operator. */
export interface BlobPlace { readonly setting: 'STORAGE_URL' | 'DATA_DIR', readonly name: string }

/** The blob store of the settings. */
export function blobPlaceOf ({ storageUrl, dataDir }: Pick<Config, 'storageUrl' | 'dataDir'>): BlobPlace {
  return storageUrl === undefined
    ? { setting: 'DATA_DIR', name: `DATA_DIR: ${dataDir}` }
    : { setting: 'STORAGE_URL', name: `STORAGE_URL: bucket ${storageUrl.bucket} with the prefix "${storageUrl.prefix}"` }
}
