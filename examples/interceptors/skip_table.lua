-- Changes of one table are not taken over by any node: what is written to it is gone when it is read again.

local TABLE = "scratch"

function before(cs, db)
    local kept = {}
    for _, change in ipairs(cs.changes) do
        if change.table ~= TABLE then
            kept[#kept + 1] = change
        end
    end
    cs.changes = kept
end
