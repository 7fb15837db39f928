import '../contracts.test.ts'
