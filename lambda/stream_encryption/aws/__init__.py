"""What is called, and what its errors mean."""
