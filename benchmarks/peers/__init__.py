"""What a user would pick instead, each as its documentation recommends: code and CDK apps."""
