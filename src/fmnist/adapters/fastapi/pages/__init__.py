"""The pages for people: `/ui`, and `/docs` with Swagger UI. They are imported when one of them is asked for."""
