import type { Conditions } from '../metadata/conditions.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { Property, PropertyChanges } from '../metadata/property-records.ts'
import type { DiskRoom } from './disk-room.ts'

interface PropertiesOptions {
  readonly metadata: Metadata
  readonly room: Pick<DiskRoom, 'requireSpace'>
}

/** Dead properties of files and folders. Every method takes the owner. */
export class Properties {
  readonly #options: PropertiesOptions

  constructor (options: PropertiesOptions) {
    this.#options = options
  }

  /** Of files, by their ids; none of a file without one. */
  async ofFiles (ownerId: number, ids: readonly number[]): Promise<Map<number, readonly Property[]>> {
    return this.#options.metadata.properties.ofFiles(ownerId, ids)
  }

  /** Of folders, by their ids. */
  async ofFolders (ownerId: number, ids: readonly number[]): Promise<Map<number, readonly Property[]>> {
    return this.#options.metadata.properties.ofFolders(ownerId, ids)
  }

  /**
   * Changes those of the file or folder with a path, which exists.
   * @throws not_found, precondition_failed, file_locked, properties_too_large, storage_full.
   */
  async change (ownerId: number, path: string, changes: PropertyChanges, conditions: Conditions): Promise<void> {
    const { metadata, room } = this.#options
    await room.requireSpace(0)
    await metadata.properties.change(ownerId, path, changes, conditions)
  }
}
