import type { Conditions } from './conditions.ts'

/** All dead properties of a file or folder together, in bytes of their XML and names. */
export const MAX_PROPERTY_BYTES = 16 * 1024

/** Dead properties of a file or folder at most. */
export const MAX_PROPERTIES = 100

/** The name of a property; the namespace is empty without one. */
export interface PropertyName { readonly namespace: string, readonly name: string }

/** A dead property (RFC 4918 section 4): the server only keeps it. `xml`: its whole element. */
export interface Property extends PropertyName { readonly xml: string }

/** Sets a property, or removes it with the `xml` null. */
export interface PropertyChange extends PropertyName { readonly xml: string | null }

/** What changes, in this order. */
export interface PropertyChanges {
  readonly properties: readonly PropertyChange[]
  /** A new time of the content, of a file only; undefined: it stays. */
  readonly modifiedAt?: number | undefined
}

/**
 * Dead properties: a part of the contract of {@link Metadata}. They move with their file or folder, are copied with it,
 * and go to the trash with a file.
 */
export interface PropertyRepository {
  /** Of files, by their ids; none of a file without one. */
  ofFiles (ownerId: number, ids: readonly number[]): Promise<Map<number, readonly Property[]>>
  /** Of folders, by their ids. */
  ofFolders (ownerId: number, ids: readonly number[]): Promise<Map<number, readonly Property[]>>
  /** Of the file or folder with a path. @throws not_found, precondition_failed, file_locked, properties_too_large. */
  change (ownerId: number, path: string, changes: PropertyChanges, conditions: Conditions): Promise<void>
}
