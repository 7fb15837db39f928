interface Referable { $ref?: string }
interface Described {
  paths: Record<string, Record<string, { responses: Record<string, Referable> }>>
  components: { responses: Record<string, Referable> }
}

/** A copy of an OpenAPI document whose operations have their responses, instead of references to shared ones. */
export function inlineResponses<Document extends { paths: object }> (document: Document): Document {
  const copy = structuredClone(document)
  const { paths, components } = copy as unknown as Described
  for (const { responses } of Object.values(paths).flatMap(item => Object.values(item))) {
    for (const [status, { $ref }] of Object.entries(responses)) {
      const name = $ref?.slice('#/components/responses/'.length)
      if (name !== undefined) responses[status] = components.responses[name] as Referable
    }
  }
  return copy
}
