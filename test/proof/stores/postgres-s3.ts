process.env.TEST_STORE = 'postgres-s3'
