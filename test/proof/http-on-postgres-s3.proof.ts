import t from 'tap'
import { runHttpSuite } from './http-suite.ts'

runHttpSuite(t, 'postgres-s3')
