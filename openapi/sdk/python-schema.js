import { readFileSync } from 'node:fs'

/**
 * @typedef {{ $ref?: string, type?: string | string[], enum?: unknown[], anyOf?: Schema[], items?: Schema,
 * properties?: Record<string, Schema>, required?: string[], description?: string | undefined }} Schema
 * @typedef {{ in: string, name: string, description?: string, schema: Schema }} Parameter
 * @typedef {{ operationId: string, parameters?: Parameter[] }} Operation
 * @typedef {{ components: { schemas: Record<string, Schema> }, paths: Record<string, Record<string, Operation>> }
 * } Document
 */

/** @type {Readonly<Record<string, string>>} */
const SCALARS = { string: 'str', integer: 'int', number: 'float', boolean: 'bool', null: 'None' }

/** What an attribute of a class can be called. `from` is the only keyword of Python among the properties. */
const ATTRIBUTE = /^(?!from$)[A-Za-z_]\w*$/

const HEAD = `"""The types of JSON bodies and of queries, generated from the OpenAPI document."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict
`

/**
 * The text of schema.py of the Python client: a TypedDict for each schema of an OpenAPI document, and for the query of
 * each operation that has one.
 * @param {string} file of the document
 */
export function pythonSchemaText (file) {
  /** @type {Document} */
  const { components, paths } = JSON.parse(readFileSync(file, 'utf8'))
  const queries = Object.values(paths).flatMap(item => Object.values(item)).flatMap(queryOf)
  const schemas = [...Object.entries(components.schemas), ...queries]
  return [HEAD, ...schemas.flatMap(([name, schema]) => classesOf(name, schema))].join('\n\n')
}

/**
 * The query of an operation as a schema. A cursor is the client's own affair, or an argument of its own.
 * @param {Operation} operation
 * @returns {[string, Schema][]}
 */
function queryOf ({ operationId, parameters = [] }) {
  const found = parameters.filter(({ in: place, name }) => place === 'query' && name !== 'cursor')
  if (found.length === 0) return []
  const properties = found.map(({ name, description, schema }) => [name, { ...schema, description }])
  const description = `The query of \`${operationId}\`.`
  return [[`${capitalized(operationId)}Query`, { description, properties: Object.fromEntries(properties) }]]
}

/**
 * A class for a schema, after those of the objects in it.
 * @param {string} name
 * @param {Schema} schema
 * @returns {string[]}
 */
function classesOf (name, { description = name, properties = {}, required = [] }) {
  /** @type {string[]} */
  const inner = []
  const fields = Object.entries(properties).map(([field, property]) => {
    const type = typeOf(property, `${name}${capitalized(field)}`, inner)
    const text = required.includes(field) ? type : `NotRequired[${type}]`
    return { field, text, comment: property.description === undefined ? '' : `    ${quoted(property.description)}\n` }
  })
  if (fields.every(({ field }) => ATTRIBUTE.test(field))) {
    const lines = fields.map(({ field, text, comment }) => `    ${field}: ${text}\n${comment}`)
    return [...inner, `class ${name}(TypedDict):\n    ${quoted(description)}\n\n${lines.join('')}`]
  }
  const entries = fields.map(({ field, text }) => `    ${quoted(field)}: ${quoted(text)},\n`)
  return [...inner, `${name} = TypedDict(${quoted(name)}, {\n${entries.join('')}})\n`]
}

/**
 * @param {Schema} schema
 * @param {string} name of the class of an object
 * @param {string[]} classes to which that is added
 * @returns {string}
 */
function typeOf ({ $ref, type, enum: values, anyOf, items = {}, ...schema }, name, classes) {
  if ($ref !== undefined) return $ref.slice($ref.lastIndexOf('/') + 1)
  if (anyOf !== undefined) return anyOf.map(one => typeOf(one, name, classes)).join(' | ')
  if (values !== undefined) return `Literal[${values.map(literal).join(', ')}]`
  if (Array.isArray(type)) return type.map(one => typeOf({ ...schema, type: one, items }, name, classes)).join(' | ')
  if (type === 'array') return `list[${typeOf(items, name, classes)}]`
  if (type !== 'object' || schema.properties === undefined) return SCALARS[String(type)] ?? 'object'
  classes.push(...classesOf(name, schema))
  return name
}

/** @param {unknown} value */
function literal (value) {
  return typeof value === 'boolean' ? capitalized(String(value)) : quoted(value)
}

/**
 * A string of JSON is one of Python too.
 * @param {unknown} value
 */
function quoted (value) {
  return JSON.stringify(value)
}

/** @param {string} text */
function capitalized (text) {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
