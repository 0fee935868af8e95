"""`make accept`: what this project assumes of AWS, asked of AWS itself."""
