/** Behaves like `base`, but for the changes. A copy would lose the methods of a class. */
export function override<T extends object> (base: T, changes: { [K in keyof T]?: T[K] | undefined }): T {
  return new Proxy(base, {
    get (target, key) {
      const value: unknown = key in changes ? changes[key as keyof T] : target[key as keyof T]
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}
