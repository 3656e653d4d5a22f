"""What records would become, and cost: counted without embedding or writing, in bounded memory."""
