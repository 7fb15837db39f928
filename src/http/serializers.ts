import { SerializerSelector, type SerializerFactory } from '@fastify/fast-json-stringify-compiler'

/**
 * Fastify's own serialisers, each schema compiled once: the error response stands on every operation, and compiling it
 * for each of them took a tenth of the time of a start.
 */
export function createSerializers (): SerializerFactory {
  const factory = SerializerSelector()
  return (externalSchemas, options) => {
    const compile = factory(externalSchemas, options)
    const compiled = new Map<string, ReturnType<typeof compile>>()
    return definition => {
      const key = JSON.stringify(definition.schema)
      const serializer = compiled.get(key) ?? compile(definition)
      compiled.set(key, serializer)
      return serializer
    }
  }
}
