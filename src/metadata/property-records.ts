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
