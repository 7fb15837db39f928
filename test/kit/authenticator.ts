import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

type Encodable = string | number | Uint8Array | Encodable[] | Map<string | number, Encodable>

/** CBOR (RFC 8949) of text, integers, bytes, arrays and maps. */
export function encodeCbor (value: Encodable): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(encodeCbor)])
  return Buffer.concat([head(5, value.size), ...Array.from(value).flat().map(encodeCbor)])
}

function head (major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.from([major << 5 | argument])
  const [code, bytes] = argument < 2 ** 8 ? [24, 1] : argument < 2 ** 16 ? [25, 2] : [26, 4]
  const encoded = Buffer.alloc(1 + bytes)
  encoded[0] = major << 5 | code
  encoded.writeUIntBE(argument, 1, bytes)
  return encoded
}

/** Flags of authenticator data (WebAuthn level 3 section 6.1). */
export const USER_PRESENT = 1
export const USER_VERIFIED = 4
const HAS_CREDENTIAL = 64

export interface CreationOptions { rp: { id: string }, user: { id: string, name: string }, challenge: string }

export interface RequestOptions { rpId: string, challenge: string }

/** What an authenticator or a browser does otherwise than it should. */
export interface Fault {
  flags?: number
  counter?: number
  /** The host whose hash is signed. */
  rpId?: string
  /** Members of the client data, in place of the right ones. */
  clientData?: Record<string, unknown>
  /** The text that is signed in place of client data. */
  clientDataText?: string
  /** The id that is signed, if it is another than the one that is sent. */
  signedId?: Buffer
  /** The public key as COSE_Key. */
  publicKey?: Buffer
  /** What follows the authenticator data. */
  extra?: Buffer
  /** Undefined: left out. */
  userHandle?: string | undefined
  format?: string
  statement?: Map<string, Encodable>
}

/** An authenticator with one passkey of ES256, behind a browser at a page of `origin`. */
export class Authenticator {
  readonly id: Buffer
  readonly #origin: string
  readonly #privateKey: KeyObject
  readonly #publicKey: Buffer
  /** How often it has signed; 0 for one that does not count. */
  counter = 0
  userHandle = 'unknown'

  constructor (origin: string, id: Buffer = randomBytes(32)) {
    this.#origin = origin
    this.id = id
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    this.#privateKey = privateKey
    this.#publicKey = encodeCbor(new Map<number, Encodable>([
      [1, 2], [3, -7], [-1, 1], [-2, Buffer.from(x, 'base64url')], [-3, Buffer.from(y, 'base64url')]
    ]))
  }

  /** What `navigator.credentials.create` resolves to, as JSON. */
  create ({ rp, user, challenge }: CreationOptions, fault: Fault = {}) {
    this.userHandle = user.id
    const id = fault.signedId ?? this.id
    const length = Buffer.alloc(2)
    length.writeUInt16BE(id.length)
    const credential = [Buffer.alloc(16), length, id, fault.publicKey ?? this.#publicKey]
    const head = this.#head(rp.id, HAS_CREDENTIAL, fault)
    const authData = Buffer.concat([head, ...credential, fault.extra ?? Buffer.alloc(0)])
    const attestation = encodeCbor(new Map<string, Encodable>([
      ['fmt', fault.format ?? 'none'], ['attStmt', fault.statement ?? new Map()], ['authData', authData]
    ]))
    return {
      ...this.#envelope(),
      response: {
        clientDataJSON: this.#clientData('webauthn.create', challenge, fault).toString('base64url'),
        attestationObject: attestation.toString('base64url'),
        // What browsers add.
        authenticatorData: authData.toString('base64url'),
        transports: ['internal'],
        publicKeyAlgorithm: -7
      }
    }
  }

  /** What `navigator.credentials.get` resolves to, as JSON. */
  get ({ rpId, challenge }: RequestOptions, fault: Fault = {}) {
    const authData = Buffer.concat([this.#head(rpId, 0, fault), fault.extra ?? Buffer.alloc(0)])
    const clientData = this.#clientData('webauthn.get', challenge, fault)
    const signed = Buffer.concat([authData, createHash('sha256').update(clientData).digest()])
    const userHandle = 'userHandle' in fault ? fault.userHandle : this.userHandle
    return {
      ...this.#envelope(),
      response: {
        clientDataJSON: clientData.toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        signature: sign('sha256', signed, this.#privateKey).toString('base64url'),
        ...(userHandle !== undefined && { userHandle })
      }
    }
  }

  /** Authenticator data without a credential. */
  headOf (rpId: string): Buffer {
    return this.#head(rpId, 0, {})
  }

  #envelope () {
    const id = this.id.toString('base64url')
    return { id, rawId: id, type: 'public-key', authenticatorAttachment: 'platform', clientExtensionResults: { credProps: { rk: true } } }
  }

  #head (rpId: string, flags: number, fault: Fault): Buffer {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(fault.counter ?? this.counter)
    const hash = createHash('sha256').update(fault.rpId ?? rpId).digest()
    return Buffer.concat([hash, Buffer.from([(fault.flags ?? USER_PRESENT | USER_VERIFIED) | flags]), counter])
  }

  #clientData (type: string, challenge: string, { clientData, clientDataText }: Fault): Buffer {
    const right = { type, challenge, origin: this.#origin, crossOrigin: false }
    return Buffer.from(clientDataText ?? JSON.stringify({ ...right, ...clientData }))
  }
}
