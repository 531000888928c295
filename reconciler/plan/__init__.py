"""Makes a Plan from desired and actual state. Pure: the plan that is shown is the object that is applied."""
