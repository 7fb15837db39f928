import { SerializerSelector, type SerializerFactory } from '@fastify/fast-json-stringify-compiler'

/**
 * Fastify's own serialisers, each schema compiled once, when it is first answered with: compiling one takes two
 * milliseconds, the error response stands on every operation, and all of them took a fifth of the time of a start.
 */
export function createSerializers (): SerializerFactory {
  const factory = SerializerSelector()
  return (externalSchemas, options) => {
    const compile = factory(externalSchemas, options)
    const compiled = new Map<string, ReturnType<typeof compile>>()
    return definition => {
      const key = JSON.stringify(definition.schema)
      return document => {
        let serializer = compiled.get(key)
        if (serializer === undefined) compiled.set(key, serializer = compile(definition))
        return serializer(document)
      }
    }
  }
}
